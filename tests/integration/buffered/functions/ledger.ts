import { v } from "convex/values";
import { mutation, query } from "./_generated/server";
import { createRecord } from "./lib/records";

/** Make another memo, every time it is called. */
export const add = mutation({
  args: { owner: v.string() },
  handler: async (ctx, { owner }) => {
    await createRecord(ctx, "memos" as never, { owner } as never);
    return owner;
  },
});

/** How many memos there are. */
export const count = query({
  args: {},
  handler: async (ctx) => (await ctx.db.query("memos" as never).collect()).length,
});

/** Make a receipt; its number is made, too. */
export const receipt = mutation({
  args: { amount: v.number() },
  handler: async (ctx, { amount }) =>
    await createRecord(ctx, "receipts" as never, { amount: BigInt(amount) } as never),
});
