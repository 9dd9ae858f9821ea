// The page: choose a user, see what they rated best and what is recommended to them.

const ROWS = 10;
const DIGITS = /^\d{1,18}$/;
const ARTICLE_LAST = /^(.+?), (The|An?|Le|La|Les|El|Los|Las|Il|Der|Die|Das)(?= \(|$)/;

const element = (id) => document.getElementById(id);
const results = element("results");
const input = element("user");

let position = null; // of the user on show among all users, null for one the release does not know
let total = null; // how many users there are
let pending = null; // aborts the requests under way

class Refusal extends Error {
  constructor(problem) {
    super(problem.detail);
    this.status = problem.status;
  }
}

async function get(path, signal) {
  const response = await fetch(path, { signal, headers: { Accept: "application/json" } });
  if (!response.ok) {
    const unreadable = { detail: `The service answered ${response.status}.`, status: response.status };
    throw new Refusal(await response.json().catch(() => unreadable));
  }
  return response.json();
}

const users = (query, signal) => get(`api/v1/users?${new URLSearchParams(query)}`, signal);

function spokenTitle(movie) {
  const title = movie.title.replace(ARTICLE_LAST, "$2 $1");
  const year = ` (${movie.release_year})`;
  return title.endsWith(year) ? title.slice(0, -year.length) : title;
}

function row(template, movie) {
  const item = element(template).content.cloneNode(true).firstElementChild;
  item.querySelector(".title").textContent = spokenTitle(movie);
  item.querySelector(".year").textContent = movie.release_year ?? "";
  item.querySelector(".genres").append(
    ...movie.genres.map((genre) => {
      const chip = document.createElement("span");
      chip.className = "genre";
      chip.textContent = genre;
      return chip;
    }),
  );
  return item;
}

function likedRow(movie, highest) {
  const item = row("liked-template", movie);
  const stars = item.querySelector(".stars");
  stars.setAttribute("aria-label", `Rated ${movie.rating} of ${highest}`);
  stars.title = `${movie.rating} of ${highest}`;
  stars.style.setProperty("--filled", `${(100 * movie.rating) / highest}%`);
  return item;
}

function recommendedRow(movie) {
  const item = row("recommended-template", movie);
  item.classList.toggle("feature", movie.rank === 1);
  item.querySelector(".rank").textContent = movie.rank === 1 ? "No. 1, tonight’s feature" : movie.rank;
  item.querySelector(".reason").textContent = movie.reason ?? "";
  if (movie.predicted_rating !== null) {
    const predicted = item.querySelector(".predicted");
    const stars = movie.predicted_rating.toFixed(1);
    predicted.textContent = `★ ${stars}`;
    predicted.title = `They would give it about ${stars} stars`;
    predicted.setAttribute("aria-label", predicted.title);
    predicted.hidden = false;
  }
  return item;
}

function emptyRow(text) {
  const item = document.createElement("li");
  item.className = "empty";
  item.textContent = text;
  return item;
}

function showWaiting() {
  for (const [list, template] of [["liked", "liked-template"], ["programme", "recommended-template"]]) {
    const rows = Array.from({ length: ROWS }, () => element(template).content.cloneNode(true));
    element(list).replaceChildren(...rows);
    element(list).classList.add("waiting");
    element(list).setAttribute("aria-hidden", "true");
  }
  element("programme").firstElementChild.classList.add("feature");
}

function fill(list, rows) {
  element(list).replaceChildren(...rows);
  element(list).classList.remove("waiting");
  element(list).removeAttribute("aria-hidden");
  element(list).scrollLeft = 0;
  // A strip that scrolls can be reached with the keyboard; a list that does not is no stop on the way.
  element(list).tabIndex = element(list).scrollWidth > element(list).clientWidth ? 0 : -1;
}

function showHistory(userId, history) {
  element("liked-title").textContent = `What user ${userId} liked`;
  if (history === null) {
    element("liked-lead").textContent = "Nobody by this number has rated anything yet.";
    fill("liked", [emptyRow("With a first few ratings and the next release, this list fills.")]);
    return;
  }
  const count = history.rating_count;
  element("liked-lead").textContent =
    count === 1 ? "The only movie rated." : `The best of ${count.toLocaleString("en")} movies rated.`;
  const rows = history.items.map((movie) => likedRow(movie, history.highest_rating));
  fill("liked", rows.length ? rows : [emptyRow("No ratings.")]);
}

function showRecommendations(userId, answer) {
  const popular = answer.strategy === "popular";
  element("recommended-title").textContent = `Now showing for user ${userId}`;
  element("recommended-lead").textContent = popular
    ? "What most people watch, until there are ratings to go by."
    : "New to them, chosen from what they rated.";
  const rows = answer.items.map(recommendedRow);
  fill("programme", rows.length ? rows : [emptyRow("They have seen every movie there is.")]);
}

async function historyOf(userId, signal) {
  try {
    return await get(`api/v1/users/${userId}/history?limit=${ROWS}`, signal);
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return null;
    throw error;
  }
}

async function show(userId) {
  pending?.abort();
  pending = new AbortController();
  const { signal } = pending;
  results.setAttribute("aria-busy", "true");
  input.value = userId;
  sayProblem("");
  try {
    const [history, answer] = await Promise.all([
      historyOf(userId, signal),
      get(`api/v1/recommendations/${userId}?limit=${ROWS}&explain=true`, signal),
    ]);
    position = history?.position ?? null;
    showHistory(userId, history);
    showRecommendations(userId, answer);
    showSteps();
    element("failure").hidden = true;
    document.title = `User ${userId} · Marquee`;
    element("status").textContent = `${answer.items.length} movies recommended to user ${userId}.`;
    results.setAttribute("aria-busy", "false");
  } catch (error) {
    if (!signal.aborted) fail(error);
  }
}

function fail(error) {
  const unreachable = "The service does not answer. Check that it is running, then try again.";
  element("failure-text").textContent = error instanceof Refusal ? error.message : unreachable;
  element("failure").hidden = false;
  results.setAttribute("aria-busy", "false");
}

function sayProblem(text) {
  element("user-problem").textContent = text;
  input.toggleAttribute("aria-invalid", false);
  if (text) input.setAttribute("aria-invalid", "true");
}

function showSteps() {
  element("previous").disabled = position === null || position === 0;
  element("next").disabled = position === null || total === null || position + 1 >= total;
}

function go(userId) {
  const hash = `#user=${userId}`;
  if (location.hash === hash) show(userId);
  else location.hash = hash;
}

async function goToPosition(offset) {
  try {
    const found = await users({ offset, limit: 1 });
    if (found.items.length) go(found.items[0].user_id);
  } catch (error) {
    fail(error);
  }
}

async function showRelease() {
  const ready = await get("readyz");
  const number = (value) => value.toLocaleString("en");
  element("release-version").textContent = ready.release;
  element("release-catalogue").textContent =
    `${number(ready.movies)} movies, ${number(ready.ratings)} ratings, ${ready.dataset}`;
  const popular = ready.baselines.most_popular?.["ndcg@10"];
  element("release-ndcg").textContent = ready.metrics["ndcg@10"]?.toFixed(3) ?? "not measured";
  if (popular !== undefined && ready.metrics["ndcg@10"] !== undefined) {
    const beside = document.createElement("small");
    beside.textContent = ` (most popular: ${popular.toFixed(3)})`;
    element("release-ndcg").append(beside);
  }
  const coverage = ready.metrics["coverage@10"];
  element("release-coverage").textContent =
    coverage === undefined ? "not measured" : `${Math.round(100 * coverage)} % of the catalogue`;
}

async function showFromAddress() {
  const userId = new URLSearchParams(location.hash.slice(1)).get("user");
  if (userId !== null && DIGITS.test(userId)) {
    await show(userId);
    return;
  }
  const found = await users({ limit: 1 });
  if (found.items.length) {
    history.replaceState(null, "", `#user=${found.items[0].user_id}`);
    await show(String(found.items[0].user_id));
  } else {
    fail(new Refusal({ detail: "This release holds no users.", status: 404 }));
  }
}

async function start() {
  try {
    const [found] = await Promise.all([users({ limit: 1 }), showRelease(), suggest()]);
    total = found.total;
    await showFromAddress();
    showSteps();
  } catch (error) {
    fail(error);
  }
}

async function suggest() {
  const query = input.value.trim();
  if (query && !DIGITS.test(query)) return;
  const found = await users({ query, limit: 20 });
  element("users").replaceChildren(
    ...found.items.map((user) => {
      const option = document.createElement("option");
      option.value = user.user_id;
      option.label = `${user.user_id}: ${user.rating_count.toLocaleString("en")} ratings`;
      return option;
    }),
  );
}

let typing;
input.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => suggest().catch(fail), 120);
});
element("chooser").addEventListener("submit", (event) => {
  event.preventDefault();
  const wanted = input.value.trim();
  if (DIGITS.test(wanted)) go(wanted.replace(/^0+(?=\d)/, ""));
  else sayProblem("A user is a number, such as 42.");
});
element("previous").addEventListener("click", () => goToPosition(position - 1));
element("next").addEventListener("click", () => goToPosition(position + 1));
element("random").addEventListener("click", () => goToPosition(Math.floor(Math.random() * (total ?? 1))));
element("retry").addEventListener("click", start);
addEventListener("hashchange", () => showFromAddress().catch(fail));

showWaiting();
start();
