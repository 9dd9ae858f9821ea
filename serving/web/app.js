// The page: a visitor rates movies, or a user is chosen, and what is recommended to them follows.

import * as address from "./address.js";
import { describe, emptyRow, fill, movieRow, spokenTitle, wait } from "./movies.js";
import { Lane, Refusal, get, inWords, post, remove } from "./service.js";
import { ratingField, showGiven, stars, valuesOf } from "./stars.js";
import { VisitorRatings } from "./visitor.js";
import { explainable } from "./why.js";

const ROWS = 10;
const MOST_ROWS = 100;
const FOUND = 6;
const TYPING_MS = 200;
const RATING_MS = 400;
const KEYS_MS = 1500; // Arrow keys pass through ratings that are not meant.

const WITHOUT = {
  cache: "Answers are not remembered at the moment, so this one may have taken longer.",
  index: "The index does not answer. Every movie was compared instead: the same list, only later.",
  ratings: "Ratings given lately cannot be read. This list goes by those that the release came with.",
  rate_limits: "Requests are counted by each process alone at the moment.",
};

const GENRE_FILTERS = ["genres", "exclude_genres"];

const element = (id) => document.getElementById(id);
const counted = (movies) => (movies === 1 ? "1 movie" : `${movies} movies`);
const number = (value) => value.toLocaleString("en");
const highest = () => ready.rating_scale.max;

let ready = null; // the live release
let genres = []; // of its movies
let visitor = null; // the visitor's own ratings
let state = address.read();
let rows = ROWS; // how many recommendations to show
let rated = new Map(); // what is known of the ratings of the user on show, by movie
let position = null; // of the user on show among all users, null for one the release does not know
let total = null; // how many users there are
let retry = start;

const recommending = new Lane();
const searching = new Lane();
const suggesting = new Lane();
const opening = new Lane();

/** A function that waits until nobody has called it for a while; `now` does not wait. */
function settled(act) {
  let timer = null;
  const call = (ms) => {
    clearTimeout(timer);
    timer = setTimeout(call.now, ms);
  };
  call.now = () => {
    clearTimeout(timer);
    timer = null;
    act();
  };
  call.isWaiting = () => timer !== null;
  return call;
}

const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const say = (text) => (element("status").textContent = text);

function fail(error, again) {
  if (error.name === "AbortError") return;
  element("failure-text").textContent = inWords(error);
  element("failure").hidden = false;
  element("programme").setAttribute("aria-busy", "false");
  retry = again;
}

// Rating

const mayRate = () => state.user === null || ready.may_rate;
const givenTo = ({ movie_id }) => (state.user === null ? visitor.of(movie_id) : (rated.get(movie_id) ?? null));

/** The stars of a movie: to give a rating where that is possible, else none. */
function ratingOf(movie) {
  const { movie_id } = movie;
  return ratingField(spokenTitle(movie), movie_id, ready.rating_scale, givenTo(movie), (rating, field) =>
    rate(movie, rating, field),
  );
}

async function rate(movie, rating, field) {
  const byKeys = field.matches(":has(:focus-visible)");
  if (state.user !== null) {
    if (!(await keepForUser(state.user, movie, rating))) return;
  } else if (!keepForVisitor(movie, rating)) {
    return;
  }
  showGiven(movie.movie_id, rating);
  refreshSoon(byKeys ? KEYS_MS : RATING_MS);
}

function keepForVisitor(movie, rating) {
  const isNew = visitor.of(movie.movie_id) === null;
  if (isNew && visitor.isFull) {
    showGiven(movie.movie_id, null);
    say("That is as many ratings as this page keeps. Remove one to add another.");
    return false;
  }
  visitor.rate(movie, rating);
  if (isNew) showVisitor();
  say(`${spokenTitle(movie)}: rated ${rating} of ${highest()}.`);
  return true;
}

/** Whether a user's rating is on the service's disk, and the user still on show. */
async function keepForUser(user, movie, rating, key = crypto.randomUUID()) {
  try {
    const body = { movie_id: movie.movie_id, rating };
    await post(`api/v1/users/${user}/ratings`, body, null, { "Idempotency-Key": key });
  } catch (error) {
    showGiven(movie.movie_id, givenTo(movie));
    fail(error, async () => {
      if (await keepForUser(user, movie, rating, key)) refresh();
    });
    return false;
  }
  if (state.user !== user) return false;
  rated.set(movie.movie_id, rating);
  say(`${spokenTitle(movie)}: rated ${rating} of ${highest()} for user ${user}.`);
  return true;
}

async function unrate(movie) {
  if (state.user === null) {
    visitor.remove(movie.movie_id);
    showVisitor();
  } else {
    try {
      await remove(`api/v1/users/${state.user}/ratings/${movie.movie_id}`);
    } catch (error) {
      fail(error, () => unrate(movie));
      return;
    }
  }
  say(`${spokenTitle(movie)}: rating removed.`);
  showGiven(movie.movie_id, null);
  refreshSoon(RATING_MS);
}

function ratedRow(movie) {
  const row = movieRow(movie, open);
  if (!mayRate()) {
    row.append(stars(movie.rating, highest(), `Rated ${movie.rating} of ${highest()}`));
    return row;
  }
  const away = document.createElement("button");
  away.type = "button";
  away.className = "close";
  away.textContent = "×";
  away.title = "Remove this rating";
  away.setAttribute("aria-label", `Remove the rating of ${spokenTitle(movie)}`);
  away.addEventListener("click", () => unrate(movie));
  row.append(ratingOf(movie), away);
  return row;
}

function showRatings(movies, title, lead, empty) {
  element("rated-title").textContent = title;
  element("rated-lead").textContent = lead;
  fill(element("ratings"), movies.length ? movies.map(ratedRow) : [emptyRow(empty)]);
  element("clear").hidden = state.user !== null || !movies.length;
}

function showVisitor() {
  const { movies } = visitor;
  showRatings(
    movies,
    "Your ratings",
    movies.length
      ? `${counted(movies.length)}, kept in this browser only.`
      : "Rate three movies you know, or more.",
    "Nothing yet. Search above, or rate what is showing.",
  );
}

function showUser(found) {
  rated = new Map(found?.items.map(({ movie_id, rating }) => [movie_id, rating]));
  if (found === null) {
    const hope = mayRate() ? "Search above to rate a first one." : "Their first ratings will appear here.";
    showRatings([], `What user ${state.user} rated`, "Nobody by this number has rated anything yet.", hope);
    return;
  }
  const count = found.rating_count;
  const which = mayRate() ? "latest" : "best";
  const lead = count === 1 ? "The only movie rated." : `The ${which} of ${number(count)} movies rated.`;
  showRatings(found.items, `What user ${state.user} ${mayRate() ? "rated" : "liked"}`, lead, "No ratings.");
}

// Recommendations

function recommendedRow(movie) {
  const row = movieRow(movie, open, "recommended-template");
  row.classList.toggle("feature", movie.rank === 1);
  row.querySelector(".rank").textContent = movie.rank === 1 ? "No. 1, tonight’s feature" : movie.rank;
  row.querySelector(".reason").textContent = movie.reason ?? "";
  explainable(row, movie, ready.language_model ? { movie_id: movie.movie_id, ...askedFor(state.user) } : null);
  if (typeof movie.predicted_rating === "number") {
    row.querySelector(".predicted").textContent = `predicted ${movie.predicted_rating.toFixed(1)}`;
  }
  if (mayRate()) row.querySelector(".verdict").prepend(ratingOf(movie));
  return row;
}

function filters() {
  const chosen = {};
  if (state.year_from) chosen.year_from = Number(state.year_from);
  if (state.year_to) chosen.year_to = Number(state.year_to);
  if (state.min_ratings) chosen.min_ratings = state.min_ratings;
  if (state.diversity) chosen.diversity = state.diversity;
  return chosen;
}

/** Whom an answer is for, as the service is asked. */
function askedFor(user) {
  if (user !== null) return { user_id: Number(user) };
  return { ratings: visitor.movies.map(({ movie_id, rating }) => ({ movie_id, rating })).reverse() };
}

function recommendationsFor(user, signal) {
  if (user === null) {
    const { genres, exclude_genres } = state;
    const asked = { ...askedFor(null), limit: rows, explain: true, genres, exclude_genres, ...filters() };
    return post("api/v1/recommendations", asked, signal);
  }
  const query = new URLSearchParams({ limit: rows, explain: true, ...filters() });
  for (const name of GENRE_FILTERS) state[name].forEach((genre) => query.append(name, genre));
  return get(`api/v1/recommendations/${user}`, query, signal);
}

async function ratingsOf(user, signal) {
  try {
    const order = mayRate() ? "latest" : "best";
    return await get(`api/v1/users/${user}/ratings`, { order, limit: ROWS }, signal);
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return null;
    throw error;
  }
}

function showRecommendations(answer) {
  const forVisitor = state.user === null;
  const whose = forVisitor ? "you" : `user ${state.user}`;
  const found = answer.items.length;
  const popular = answer.strategy === "popular";
  element("recommended-title").textContent = `Now showing for ${whose}`;
  element("recommended-lead").textContent = popular
    ? "What most people watch, to begin with."
    : `New to ${forVisitor ? "you, chosen from your ratings" : "them, chosen from what they rated"}.`;
  const nothing = isFiltered() ? "Nothing fits these filters." : "There is no movie left.";
  fill(element("programme"), found ? answer.items.map(recommendedRow) : [emptyRow(nothing)]);
  const degraded = (answer.degraded ?? []).map((part) => WITHOUT[part] ?? `This was made without: ${part}.`);
  const unknown = answer.unknown_movie_ids?.length ?? 0;
  if (unknown) degraded.push(`${unknown} of the rated movies are not in this release and were left out.`);
  element("degraded").textContent = degraded.join(" ");
  element("degraded").hidden = !degraded.length;
  element("more").hidden = found < rows || rows >= MOST_ROWS;
  element("failure").hidden = true;
  document.title = forVisitor ? "Marquee" : `User ${state.user} · Marquee`;
  const first = found ? ` First: ${spokenTitle(answer.items[0])}.` : "";
  say(`${counted(found)} recommended for ${whose}.${first}`);
  if (answer.release !== ready.release) showRelease().catch(() => {}); // The next answer asks again.
}

/** Ask for what is to be shown now, and show it. */
async function refresh() {
  const signal = recommending.next();
  const { user } = state;
  element("programme").setAttribute("aria-busy", "true");
  try {
    const [found, answer] = await Promise.all([
      user === null ? null : ratingsOf(user, signal),
      recommendationsFor(user, signal),
    ]);
    position = found?.position ?? null;
    if (user !== null) showUser(found);
    showRecommendations(answer);
    showSteps();
    element("programme").setAttribute("aria-busy", "false");
  } catch (error) {
    if (!signal.aborted) fail(error, refresh);
  }
}

const refreshSoon = settled(refresh);

// Filters

const isFiltered = () =>
  state.genres.length || state.exclude_genres.length || state.year_from || state.year_to || state.min_ratings;

function makeGenres() {
  for (const name of GENRE_FILTERS) {
    const boxes = genres.map((genre) => {
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.value = genre;
      label.append(box, genre);
      return label;
    });
    element(name).replaceChildren(...boxes);
  }
}

const boxesOf = (name) => [...element(name).querySelectorAll("input")];

function showFilters() {
  for (const name of GENRE_FILTERS) {
    for (const box of boxesOf(name)) box.checked = state[name].includes(box.value);
  }
  for (const name of ["year_from", "year_to"]) element(name).value = state[name] ?? "";
  element("min_ratings").value = state.min_ratings;
  element("diversity").value = state.diversity;
  describeFilters();
}

function describeFilters() {
  const list = (names, last) => names.join(", ").replace(/, ([^,]*)$/, ` ${last} $1`);
  const { genres, exclude_genres, year_from, year_to, min_ratings, diversity } = state;
  const parts = [genres.length ? list(genres, "or") : "All genres"];
  if (exclude_genres.length) parts.push(`without ${list(exclude_genres, "and")}`);
  if (year_from && year_to) parts.push(year_from === year_to ? year_from : `${year_from} to ${year_to}`);
  else if (year_from) parts.push(`since ${year_from}`);
  else if (year_to) parts.push(`until ${year_to}`);
  else parts.push("any year");
  if (min_ratings) parts.push(`rated by ${min_ratings.toLocaleString("en")} or more`);
  if (diversity) parts.push(`diversity ${diversity}`);
  element("filters-chosen").textContent = parts.join(", ");
  element("diversity").setAttribute("aria-valuetext", diversity ? `${diversity} of 1` : "closest to the ratings");
}

function readFilters(event) {
  for (const [name, other] of [["genres", "exclude_genres"], ["exclude_genres", "genres"]]) {
    if (element(name).contains(event.target) && event.target.checked) {
      // Wanted and not wanted at once cannot be meant.
      boxesOf(other).find((box) => box.value === event.target.value).checked = false;
    }
  }
  const years = ["year_from", "year_to"].map((name) => element(name).value.trim());
  const [from, to] = years.map(address.yearIn);
  const wrong = years.map((text, at) => text !== "" && [from, to][at] === null);
  const crossed = from !== null && to !== null && from > to;
  element("year_from").toggleAttribute("aria-invalid", false);
  element("year_to").toggleAttribute("aria-invalid", false);
  if (wrong[0]) element("year_from").setAttribute("aria-invalid", "true");
  if (wrong[1] || crossed) element("year_to").setAttribute("aria-invalid", "true");
  // Whoever is still typing a year is not told off for it.
  const done = event.type === "change" || crossed;
  if (wrong.includes(true)) {
    if (done) element("years-problem").textContent = "A year has four digits, such as 1994.";
    return;
  }
  element("years-problem").textContent = crossed ? "The first year is after the last one." : "";
  if (crossed) return;
  const chosen = (name) => boxesOf(name).filter((box) => box.checked).map((box) => box.value);
  const before = state;
  state = {
    ...state,
    genres: chosen("genres"),
    exclude_genres: chosen("exclude_genres"),
    year_from: from,
    year_to: to,
    min_ratings: Number(element("min_ratings").value),
    diversity: Number(element("diversity").value),
  };
  if (isSame(state, before)) return;
  rows = ROWS;
  address.replace(state);
  describeFilters();
  refreshSoon(TYPING_MS);
}

function resetFilters() {
  const none = { genres: [], exclude_genres: [], year_from: null, year_to: null, min_ratings: 0, diversity: 0 };
  state = { ...state, ...none };
  element("years-problem").textContent = "";
  address.replace(state);
  showFilters();
  refreshSoon.now();
}

// Search

async function search() {
  const signal = searching.next();
  const query = element("query").value.trim();
  if (!query) {
    element("found").textContent = "";
    element("results").replaceChildren();
    return;
  }
  try {
    const { items } = await get("api/v1/movies", { query, limit: FOUND }, signal);
    element("found").textContent = items.length
      ? `${counted(items.length)} for “${query}”.`
      : `No title is like “${query}”. Try fewer or other words.`;
    fill(element("results"), items.map(foundRow));
  } catch (error) {
    if (!signal.aborted) element("found").textContent = inWords(error);
  }
}

function foundRow(movie) {
  const row = movieRow(movie, open);
  if (mayRate()) row.append(ratingOf(movie));
  return row;
}

const searchSoon = settled(search);

// One movie

/** Open a movie by putting it into the address. */
function open(movie) {
  state = { ...state, movie: String(movie.movie_id) };
  address.push(state, address.depth() + 1);
  showMovie(movie);
}

/** Show the movie of the address, or none; what is known of it at once, the rest when it comes. */
async function showMovie(known = null) {
  const dialog = element("movie");
  const signal = opening.next();
  if (state.movie === null) {
    if (dialog.open) dialog.close();
    return;
  }
  const id = state.movie;
  element("movie-title").textContent = known ? spokenTitle(known) : "…";
  element("movie-people").textContent = element("movie-tags").textContent = "";
  element("movie-problem").textContent = "";
  element("movie-retry").hidden = true;
  element("movie-rating").replaceChildren();
  describe(dialog, known ?? { release_year: null, genres: [] });
  wait(element("similar"), FOUND, "movie-template");
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  element("movie-title").focus();
  try {
    const [movie, similar] = await Promise.all([
      get(`api/v1/movies/${id}`, {}, signal),
      get(`api/v1/movies/${id}/similar`, { limit: FOUND }, signal),
    ]);
    element("movie-title").textContent = spokenTitle(movie);
    describe(dialog, movie);
    element("movie-people").textContent = peopleOf(movie);
    element("movie-tags").textContent = movie.tags.length ? `Tagged ${movie.tags.join(", ")}.` : "";
    if (mayRate()) element("movie-rating").replaceChildren(ratingOf(movie));
    const rows = similar.items.map((other) => movieRow(other, open));
    fill(element("similar"), rows.length ? rows : [emptyRow("None is near this one.")]);
  } catch (error) {
    if (signal.aborted) return;
    if (!known) element("movie-title").textContent = "This movie cannot be shown";
    element("movie-problem").textContent = inWords(error);
    element("movie-retry").hidden = false;
    fill(element("similar"), [emptyRow("Not known.")]);
  }
}

function peopleOf({ rating_count, rating_mean }) {
  if (!rating_count) return "Nobody has rated it yet.";
  const people = rating_count === 1 ? "1 person" : `${number(rating_count)} people`;
  return `Rated by ${people}${rating_mean ? `, ${rating_mean.toFixed(1)} on average` : ""}.`;
}

/** Leave the movie: back to where the page was before, if it was anywhere. */
function leaveMovie() {
  if (state.movie === null) return;
  opening.next();
  state = { ...state, movie: null };
  if (address.depth()) history.go(-address.depth());
  else address.replace(state);
}

// Users

function showSteps() {
  element("myself").setAttribute("aria-pressed", String(state.user === null));
  element("previous").disabled = position === null || position === 0;
  element("next").disabled = position === null || total === null || position + 1 >= total;
}

function sayProblem(text) {
  element("user-problem").textContent = text;
  element("user").toggleAttribute("aria-invalid", false);
  if (text) element("user").setAttribute("aria-invalid", "true");
}

function go(user) {
  state = { ...state, user, movie: null };
  address.push(state);
  showState();
}

async function goToPosition(offset) {
  try {
    const found = await get("api/v1/users", { offset, limit: 1 });
    if (found.items.length) go(String(found.items[0].user_id));
  } catch (error) {
    fail(error, () => goToPosition(offset));
  }
}

async function suggest() {
  const query = element("user").value.trim();
  if (query && address.idIn(query) === null) return;
  const signal = suggesting.next();
  try {
    const found = await get("api/v1/users", { query, limit: 20 }, signal);
    element("users").replaceChildren(
      ...found.items.map((user) => {
        const option = document.createElement("option");
        option.value = user.user_id;
        option.label = `${user.user_id}: ${number(user.rating_count)} ratings`;
        return option;
      }),
    );
    if (!query) total = found.total;
  } catch (error) {
    if (!signal.aborted) fail(error, suggest);
  }
}

const suggestSoon = settled(suggest);

// The release

async function showRelease() {
  let found;
  [ready, found] = await Promise.all([get("readyz"), get("api/v1/genres")]);
  genres = found.items.map(({ genre }) => genre);
  element("release-version").textContent = ready.release;
  element("release-catalogue").textContent =
    `${number(ready.movies)} movies, ${number(ready.ratings)} ratings, ${ready.dataset}`;
  const popular = ready.baselines.most_popular?.["ndcg@10"];
  const measured = ready.metrics["ndcg@10"];
  element("release-ndcg").textContent = measured?.toFixed(3) ?? "not measured";
  if (popular !== undefined && measured !== undefined) {
    const beside = document.createElement("small");
    beside.textContent = ` (most popular: ${popular.toFixed(3)})`;
    element("release-ndcg").append(beside);
  }
  const coverage = ready.metrics["coverage@10"];
  element("release-coverage").textContent =
    coverage === undefined ? "not measured" : `${Math.round(100 * coverage)} % of the catalogue`;
  makeGenres();
  showFilters();
}

// From the beginning, and whenever the address changes

function showState() {
  rows = ROWS;
  // A link may come from a release with other genres.
  for (const name of GENRE_FILTERS) state[name] = state[name].filter((genre) => genres.includes(genre));
  sayProblem("");
  element("user").value = state.user ?? ""; // Only here: an answer that comes wipes out nothing typed since.
  showSteps();
  showFilters();
  if (state.user === null) showVisitor();
  search();
  showMovie();
  return refresh();
}

async function start() {
  try {
    await showRelease();
    visitor ??= new VisitorRatings(ready.dataset, valuesOf(ready.rating_scale));
    element("failure").hidden = true;
    await Promise.all([suggest(), showState()]);
    showSteps();
  } catch (error) {
    fail(error, start);
  }
}

element("chooser").addEventListener("submit", (event) => {
  event.preventDefault();
  const user = address.idIn(element("user").value);
  if (user === null) sayProblem("A user is a number, such as 42.");
  else go(user);
});
element("user").addEventListener("input", () => suggestSoon(TYPING_MS));
element("myself").addEventListener("click", () => go(null));
element("previous").addEventListener("click", () => goToPosition(position - 1));
element("next").addEventListener("click", () => goToPosition(position + 1));
element("random").addEventListener("click", () => goToPosition(Math.floor(Math.random() * (total ?? 1))));
element("retry").addEventListener("click", () => {
  element("failure").hidden = true;
  retry();
});

element("search").addEventListener("submit", (event) => {
  event.preventDefault();
  searchSoon.now();
});
element("query").addEventListener("input", () => searchSoon(TYPING_MS));
element("clear").addEventListener("click", () => {
  visitor.clear();
  showVisitor();
  search();
  element("query").focus();
  refreshSoon.now();
});

element("filter-form").addEventListener("submit", (event) => event.preventDefault());
element("filter-form").addEventListener("input", readFilters);
element("filter-form").addEventListener("change", readFilters);
element("reset").addEventListener("click", resetFilters);
element("more").addEventListener("click", () => {
  rows = Math.min(rows + ROWS, MOST_ROWS);
  refresh();
});

element("movie-retry").addEventListener("click", () => showMovie());
element("movie-close").addEventListener("click", () => element("movie").close());
element("movie").addEventListener("click", (event) => {
  if (event.target === event.currentTarget) event.currentTarget.close(); // beside what it holds
});
element("movie").addEventListener("close", leaveMovie);

// Whoever leaves the stars with the keyboard has made up their mind.
document.addEventListener("focusout", (event) => {
  const field = event.target.closest?.(".rating");
  if (field && !field.contains(event.relatedTarget) && refreshSoon.isWaiting()) refreshSoon(0);
});
addEventListener("popstate", () => {
  const before = state;
  state = address.read();
  if (!isSame({ ...state, movie: null }, { ...before, movie: null })) showState();
  else if (!isSame(state, before)) showMovie();
});
addEventListener("storage", (event) => {
  if (event.key !== visitor?.key || state.user !== null) return;
  visitor.read();
  showVisitor();
  refreshSoon(RATING_MS);
});

wait(element("ratings"), 3, "movie-template");
wait(element("programme"), ROWS, "recommended-template");
element("programme").firstElementChild.classList.add("feature");
start();
