// A visitor's own ratings, kept by their browser and nowhere else.

const AT_MOST = 500;

function isMovie(entry) {
  return (
    Number.isSafeInteger(entry?.movie_id) &&
    entry.movie_id >= 0 &&
    typeof entry.title === "string" &&
    Array.isArray(entry.genres) &&
    entry.genres.every((genre) => typeof genre === "string")
  );
}

/** Movies with the visitor's rating, the latest first. */
export class VisitorRatings {
  #key;
  #values;
  #rated = new Map();

  /**
   * @param {string} dataset ids mean other movies in other data, so each data set has its own ratings
   * @param {number[]} values the ratings there are; whatever else is found is passed over
   */
  constructor(dataset, values) {
    this.#key = `marquee.ratings.${dataset}`;
    this.#values = values;
    this.read();
  }

  get key() {
    return this.#key;
  }

  get movies() {
    return [...this.#rated.values()].reverse();
  }

  get isFull() {
    return this.#rated.size >= AT_MOST;
  }

  of(movieId) {
    return this.#rated.get(movieId)?.rating ?? null;
  }

  rate(movie, rating) {
    const { movie_id, title, release_year, genres } = movie;
    this.#rated.set(movie_id, { movie_id, title, release_year, genres, rating });
    this.#keep();
  }

  remove(movieId) {
    this.#rated.delete(movieId);
    this.#keep();
  }

  clear() {
    this.#rated.clear();
    this.#keep();
  }

  /** What is kept is read again: another tab may have changed it. */
  read() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.#key) ?? "[]").filter(isMovie).slice(-AT_MOST);
      const fitting = kept.filter(({ rating }) => this.#values.includes(rating));
      this.#rated = new Map(fitting.map((entry) => [entry.movie_id, entry]));
    } catch {
      this.#rated = new Map(); // Nothing can be read, or nobody can read it: a visitor begins anew.
    }
  }

  #keep() {
    try {
      if (this.#rated.size) localStorage.setItem(this.#key, JSON.stringify([...this.#rated.values()]));
      else localStorage.removeItem(this.#key);
    } catch {
      // A browser that keeps nothing still shows the page; the ratings live as long as it is open.
    }
  }
}
