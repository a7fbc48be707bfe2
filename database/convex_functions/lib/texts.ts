import type { Value } from "convex/values";
import { refuse } from "./errors";

/** NUL and lone surrogates. */
const UNPORTABLE = /[\0\p{Surrogate}]/u;

/** Refuse a value that contains, at any depth, text that not every backend can store. */
export function checkTexts(value: Value): void {
  if (typeof value === "string" && UNPORTABLE.test(value)) {
    refuse({ code: "INVALID", message: "text must not contain NUL or lone surrogates" });
  }
  if (typeof value === "object" && value !== null && !(value instanceof ArrayBuffer)) {
    Object.keys(value).forEach(checkTexts);
    Object.values(value).forEach(checkTexts);
  }
}
