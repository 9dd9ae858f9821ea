// Asking the service.

const PATIENCE_MS = 20_000;

/** The service said no, and why. */
export class Refusal extends Error {
  constructor(status, detail, retryAfter) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** What a person can do about it, after what went wrong. */
  get inWords() {
    if (this.status === 429) return `Too many requests. Wait ${this.retryAfter ?? "a few"} seconds, then try again.`;
    if (this.status === 401 || this.status === 403) {
      return `${this.message} The page itself gives none: it is for services that anybody may read.`;
    }
    return this.message;
  }
}

/** What went wrong with a request, and what to do, in words for a person. */
export function inWords(error) {
  if (error instanceof Refusal) return error.inWords;
  if (error.name === "TimeoutError") return "The service takes too long to answer. Try again in a moment.";
  return "The service does not answer. Check that it is running, then try again.";
}

/** Questions of which only the latest matters: the next one aborts the one before. */
export class Lane {
  #latest = new AbortController();

  next() {
    this.#latest.abort();
    this.#latest = new AbortController();
    return this.#latest.signal;
  }
}

async function answerTo(path, signal, options = {}) {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  const response = await fetch(path, {
    ...options,
    signal: signal ? AbortSignal.any([signal, patience]) : patience,
    headers: { Accept: "application/json", ...options.headers },
  });
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    const detail = problem.detail ?? `The service answered ${response.status}.`;
    throw new Refusal(response.status, detail, response.headers.get("Retry-After"));
  }
  return response;
}

async function ask(path, signal, options = {}) {
  const response = await answerTo(path, signal, options);
  return response.status === 204 ? null : response.json();
}

export const get = (path, query = {}, signal = null) => {
  const asked = new URLSearchParams(query).toString();
  return ask(asked ? `${path}?${asked}` : path, signal);
};

export const post = (path, body, signal = null, headers = {}) =>
  ask(path, signal, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", ...headers },
  });

/** Ask for what comes in parts: `onEvent` gets the name and the content of each as soon as it is there. */
export async function stream(path, body, onEvent, signal = null) {
  const response = await answerTo(path, signal, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
  });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const [, name, data] = event.match(/^event: (.*)\ndata: (.*)$/);
      onEvent(name, JSON.parse(data));
    }
  }
}

export const remove = (path) => ask(path, null, { method: "DELETE" });
