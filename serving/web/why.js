// Why a movie is recommended: what its score is made of, and, where there is a language model, its words.

import { spokenTitle } from "./movies.js";
import { inWords, stream } from "./service.js";

const PARTS = {
  profile: "the rest of the taste",
  popularity: "how many people rated it",
  mean_rating: "its mean rating",
  year_distance: "its year",
  genre_match: "its genres",
  base: "what all have in common",
};

const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;

function line(list, what, value, note = "") {
  const row = document.createElement("li");
  const name = document.createElement("span");
  name.textContent = what;
  const number = document.createElement("span");
  number.className = "number";
  number.textContent = value;
  row.append(name, number);
  if (note) {
    const small = document.createElement("small");
    small.textContent = note;
    row.append(small);
  }
  list.append(row);
}

function noteOf({ shared_genres, people_rated, people_liked }) {
  const notes = [];
  if (shared_genres.length) notes.push(`shares ${shared_genres.join(", ")}`);
  if (people_rated !== null) {
    notes.push(`${people_liked} of ${people_rated} who liked it and rated this one liked both`);
  }
  return notes.join("; ");
}

function showEvidence(list, movie) {
  const { rated, other_ratings, parts } = movie.evidence;
  for (const ground of rated) {
    const title = spokenTitle({ title: ground.title, release_year: null });
    line(list, `${title}, rated ${ground.rating}`, signed(ground.contribution), noteOf(ground));
  }
  line(list, "all other ratings", signed(other_ratings));
  for (const [name, value] of Object.entries(parts)) line(list, PARTS[name] ?? name, signed(value));
  line(list, "together, its score", signed(movie.score));
  list.lastElementChild.className = "sum";
}

/** Words from a language model in place of the reason; the reason stays where none come. */
async function showWords(row, asked) {
  const reason = row.querySelector(".reason");
  const note = row.querySelector(".wording");
  let words = "";
  note.textContent = "Looking for words…";
  try {
    await stream("api/v1/explanations", asked, (event, data) => {
      if (event === "text") {
        words += data.text;
        reason.textContent = words;
      } else {
        reason.textContent = data.text;
        note.textContent = data.wording === "language_model" ? "In the words of a language model." : "";
      }
    });
  } catch (error) {
    note.textContent = inWords(error);
  }
}

/**
 * Let a movie's row say why, once somebody asks.
 *
 * @param {object | null} asked what the language model is asked; null where there is none
 */
export function explainable(row, movie, asked) {
  const why = row.querySelector(".why");
  if (!movie.evidence) {
    why.remove();
    return;
  }
  why.querySelector("summary").setAttribute("aria-label", `Why ${spokenTitle(movie)}?`);
  why.addEventListener(
    "toggle",
    () => {
      showEvidence(why.querySelector("ul"), movie);
      if (asked) showWords(row, asked);
    },
    { once: true },
  );
}
