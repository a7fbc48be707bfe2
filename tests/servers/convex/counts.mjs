// How often a deployment was asked for what.

export class Counts {
  #routes = new Map();
  #functions = new Map();

  /** Note a request to a URL path. */
  route(path) {
    increment(this.#routes, path);
  }

  /** Note a call of a function, be it one of several in a request. */
  function(path) {
    increment(this.#functions, path);
  }

  clear() {
    this.#routes.clear();
    this.#functions.clear();
  }

  toJSON() {
    return { routes: Object.fromEntries(this.#routes), functions: Object.fromEntries(this.#functions) };
  }
}

const increment = (counts, key) => counts.set(key, (counts.get(key) ?? 0) + 1);
