// Ratings as stars: to look at, and to give.

const MOST = 10;

/** The ratings that can be given, ascending: at most ten, evenly spread, the highest among them. */
export function valuesOf({ min, max, step }) {
  const smallest = step ?? (max - min) / (MOST - 1);
  const count = Math.round((max - min) / smallest) + 1;
  const stride = Math.ceil(count / MOST);
  const values = [];
  for (let at = count - 1; at >= 0; at -= stride) values.unshift(Number((min + at * smallest).toFixed(4)));
  return values;
}

/** A rating to look at. */
export function stars(rating, highest, words) {
  const shown = document.createElement("p");
  shown.className = "stars";
  shown.setAttribute("role", "img");
  shown.setAttribute("aria-label", words);
  shown.title = `${rating} of ${highest}`;
  shown.style.setProperty("--filled", `${(100 * rating) / highest}%`);
  return shown;
}

let made = 0;

/**
 * A rating to give: a group of radio buttons that look like stars.
 *
 * @param {string} title what the movie is called
 * @param {number} movieId for `showGiven`
 * @param {{min: number, max: number, step: number | null}} scale of the release
 * @param {number | null} given the rating so far
 * @param {(rating: number, field: HTMLFieldSetElement) => void} onRate
 */
export function ratingField(title, movieId, scale, given, onRate) {
  const field = document.createElement("fieldset");
  const values = valuesOf(scale);
  field.className = values.length === MOST ? "rating halves" : "rating";
  field.dataset.rates = movieId;
  const legend = document.createElement("legend");
  legend.className = "unseen";
  legend.textContent = `Rate ${title}`;
  field.append(legend);
  const name = `rating-${++made}`;
  for (const value of values) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    input.type = "radio";
    input.name = name;
    input.value = value;
    input.checked = value === given;
    input.setAttribute("aria-label", `${value} of ${scale.max}`);
    label.title = `${value} of ${scale.max}`;
    label.append(input);
    field.append(label);
  }
  field.addEventListener("change", (event) => onRate(Number(event.target.value), field));
  return field;
}

/** Show a rating, or none, in every field of a movie on the page. */
export function showGiven(movieId, rating) {
  for (const field of document.querySelectorAll(`.rating[data-rates="${movieId}"]`)) {
    for (const input of field.elements) input.checked = Number(input.value) === rating;
  }
}
