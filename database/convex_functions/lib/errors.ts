import { ConvexError, type Value } from "convex/values";

/** The reason why nothing was written. `step` is the zero-based index of the refused step. */
export type Refusal =
  | { code: "NO_TABLE"; table: string }
  | { code: "NO_COLUMN"; table: string; column: string }
  | { code: "STALE"; table: string; id: string | null }
  | { code: "KEY_REUSED" }
  | { code: "UNIQUE"; table: string; columns: string[]; step: number }
  | { code: "FOREIGN_KEY"; table: string; column: string; step: number }
  | { code: "REFERENCED"; table: string; column: string }
  | { code: "REDEPLOYED"; path: string }
  | { code: "CALL_REFUSED"; path: string; data: Value }
  | { code: "CALL_FAILED"; path: string }
  | { code: "LIMIT"; message: string }
  | { code: "NOT_FOUND"; table: string; id: string }
  | { code: "INVALID"; message: string }
  | { code: "UNAUTHENTICATED" }
  | { code: "FORBIDDEN" };

/** Throw a refusal, which rolls back the function's transaction. */
export function refuse(refusal: Refusal): never {
  throw new ConvexError(refusal);
}
