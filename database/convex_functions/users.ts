import { query } from "./_generated/server";
import { callerOf } from "./lib/identity";

/** The caller's subject, issuer and role; null for an anonymous caller. */
export const viewer = query({
  args: {},
  handler: (ctx) => callerOf(ctx),
});
