import { internalMutationGeneric } from "convex/server";
import { v } from "convex/values";

/** Insert rows as they are. */
export const insert = internalMutationGeneric({
  args: { table: v.string(), rows: v.array(v.any()) },
  handler: async (ctx, { table, rows }) => {
    await Promise.all(rows.map((row) => ctx.db.insert(table, row)));
  },
});
