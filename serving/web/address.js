// What the page shows, as its address says it: /?user=42&genres=Drama&year_from=1990&movie=7

const DIGITS = /^\d{1,18}$/;
const YEAR = /^\d{4}$/;
const MIN_RATINGS = [10, 50, 200, 1000];
const MANY = ["genres", "exclude_genres"];

/** An id as text without leading zeros, or null for what is none. */
export function idIn(text) {
  const given = (text ?? "").trim();
  return DIGITS.test(given) ? given.replace(/^0+(?=\d)/, "") : null;
}

/** A year of four digits, or null for what is none. */
export const yearIn = (text) => (YEAR.test(text ?? "") ? text : null);

/** What the address asks for; what cannot be meant is left out. */
export function read() {
  const query = new URLSearchParams(location.search);
  const diversity = Number(query.get("diversity") ?? 0);
  const minRatings = Number(query.get("min_ratings"));
  return {
    user: idIn(query.get("user")),
    movie: idIn(query.get("movie")),
    genres: query.getAll("genres"),
    exclude_genres: query.getAll("exclude_genres"),
    year_from: yearIn(query.get("year_from")),
    year_to: yearIn(query.get("year_to")),
    min_ratings: MIN_RATINGS.includes(minRatings) ? minRatings : 0,
    diversity: diversity >= 0 && diversity <= 1 ? diversity : 0,
  };
}

/**
 * Put a state into the address: as a new entry of the browser's history, or in place of the present one.
 *
 * @param {number} depth how many entries back the page was before movies were opened on it
 */
export function push(state, depth = 0) {
  history.pushState({ depth }, "", addressOf(state));
}

export function replace(state) {
  history.replaceState(history.state, "", addressOf(state));
}

export const depth = () => history.state?.depth ?? 0;

function addressOf(state) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    if (MANY.includes(name)) value.forEach((genre) => query.append(name, genre));
    else if (value) query.set(name, value);
  }
  return query.size ? `?${query}` : location.pathname;
}
