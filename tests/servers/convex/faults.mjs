// Failures on demand, so that tests see what a client makes of them.

import { setTimeout as sleep } from "node:timers/promises";

import { HttpError, badRequest, conflict } from "./errors.mjs";

const MOMENTS = ["before", "after"];

/** Thrown when the client's connection was cut: there is nobody to answer. */
export class Dropped extends Error {}

const KINDS = {
  delay: async ({ ms }) => {
    await sleep(ms ?? 0);
  },
  drop: async (_, { socket }) => {
    socket.destroy();
    throw new Dropped();
  },
  status: async ({ status, code, retry_after: retryAfter }) => {
    throw new HttpError(status ?? 503, code ?? "Overloaded", "This failure was asked for", { retryAfter });
  },
  conflict: async (_, { name }) => {
    throw conflict(name);
  },
};

/**
 * The faults that are to come.
 *
 * A fault is `{path, when, kind, count, …}`: at which function (`molecules:list`) or URL path (`/version`), by default
 * any URL path; whether `before` the request is carried out or `after` it; how many times, null being without end. The
 * kinds are `drop`, which cuts the connection, `delay` by `ms`, `status`, which answers with `status`, `code` and
 * `retry_after` seconds, and `conflict`, which lets a mutation run and rolls it back, by default any mutation.
 */
export class Faults {
  #pending = [];

  add(fault) {
    const added = { when: "before", count: 1, ...fault };
    if (!Object.hasOwn(KINDS, added.kind) || !MOMENTS.includes(added.when)) {
      throw badRequest(
        "BadFault",
        `kind is one of ${Object.keys(KINDS).join(", ")}, when one of ${MOMENTS.join(", ")}`,
      );
    }
    this.#pending.push(added);
  }

  clear() {
    this.#pending = [];
  }

  /** Let the fault happen that is due at a function or URL path, if any. */
  async strike(name, when, socket) {
    const fault = this.#take(
      (due) => due.kind !== "conflict" && due.when === when && (due.path ?? anyUrl(name)) === name,
    );
    if (fault) await KINDS[fault.kind](fault, { name, socket });
  }

  /** Whether a mutation that is about to run must be rolled back as if it had lost against another. */
  takeConflict(name) {
    return this.#take((due) => due.kind === "conflict" && (due.path ?? name) === name) !== undefined;
  }

  #take(isDue) {
    const fault = this.#pending.find(isDue);
    if (fault && fault.count !== null) fault.count -= 1;
    this.#pending = this.#pending.filter(({ count }) => count !== 0);
    return fault;
  }
}

const anyUrl = (name) => (name.startsWith("/") ? name : undefined);
