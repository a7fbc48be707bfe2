import { query } from "./_generated/server";
import { callerOf } from "./lib/identity";

/** Who calls: subject, issuer and role; null for one who is not signed in. */
export const viewer = query({
  args: {},
  handler: (ctx) => callerOf(ctx),
});
