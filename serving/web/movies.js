// Movies in lists. A title is text, whatever stands in it.

const ARTICLE_LAST = /^(.+?), (The|An?|Le|La|Les|El|Los|Las|Il|Der|Die|Das)(?= \(|$)/;

/** A title as one says it, without the year. */
export function spokenTitle(movie) {
  const title = movie.title.replace(ARTICLE_LAST, "$2 $1");
  const year = ` (${movie.release_year})`;
  return title.endsWith(year) ? title.slice(0, -year.length) : title;
}

/** Show year and genres of a movie in what has places for them. */
export function describe(place, movie) {
  place.querySelector(".year").textContent = movie.release_year ?? "";
  place.querySelector(".genres").replaceChildren(
    ...movie.genres.map((genre) => {
      const chip = document.createElement("span");
      chip.className = "genre";
      chip.textContent = genre;
      return chip;
    }),
  );
}

/** A movie as an entry of a list; its title is a button that opens it. */
export function movieRow(movie, onOpen, template = "movie-template") {
  const row = document.getElementById(template).content.cloneNode(true).firstElementChild;
  row.dataset.movie = movie.movie_id;
  const title = row.querySelector(".title button");
  title.textContent = spokenTitle(movie);
  title.addEventListener("click", () => onOpen(movie));
  describe(row, movie);
  return row;
}

/** An entry that says why there are no others. */
export function emptyRow(text) {
  const row = document.createElement("li");
  row.className = "empty";
  row.textContent = text;
  return row;
}

/** Put entries into a list; whoever was at one of the old ones stays there, or at what took its place. */
export function fill(list, rows) {
  const active = document.activeElement;
  const left = list.contains(active) ? active.closest("li") : null;
  const index = left ? [...list.children].indexOf(left) : -1;
  list.replaceChildren(...rows);
  list.classList.remove("waiting");
  list.removeAttribute("aria-hidden");
  list.scrollLeft = 0;
  if (!left) return;
  const same = rows.find((row) => row.dataset.movie === left.dataset.movie);
  const next = same ?? rows[Math.min(index, rows.length - 1)];
  const wasRating = same && active.matches("input");
  const target = wasRating ? next.querySelector("input:checked, input") : next?.querySelector("button");
  (target ?? list.closest("[tabindex]"))?.focus({ preventScroll: true });
}

/** The list before the first answer: the same entries, without words. */
export function wait(list, count, template) {
  const rows = Array.from({ length: count }, () => {
    const row = document.getElementById(template).content.cloneNode(true).firstElementChild;
    row.querySelector(".title").replaceChildren();
    return row;
  });
  list.replaceChildren(...rows);
  list.classList.add("waiting");
  list.setAttribute("aria-hidden", "true");
}
