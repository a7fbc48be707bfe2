// What functions write to the console belongs to the answer of their request, not to this process' output.

import { AsyncLocalStorage } from "node:async_hooks";
import { inspect } from "node:util";

const LEVELS = ["debug", "error", "info", "log", "warn"];

const lines = new AsyncLocalStorage();

for (const level of LEVELS) {
  const write = console[level].bind(console);
  console[level] = (...values) => {
    const captured = lines.getStore();
    if (captured === undefined) write(...values);
    else captured.push(`[${level.toUpperCase()}] ${values.map((value) => inspect(value)).join(" ")}`);
  };
}

/** Run `work` and append to `captured` what it and all it awaits write to the console. */
export const captureConsole = (captured, work) => lines.run(captured, work);
