import { v } from "convex/values";
import { queryGeneric } from "convex/server";

export const echo = queryGeneric({ args: { value: v.any() }, handler: async (_ctx, { value }) => value });

export const repeat = queryGeneric({
  args: { times: v.number() },
  handler: async (_ctx, { times }) => "x".repeat(times),
});

export const chat = queryGeneric({
  args: {},
  handler: async () => {
    console.log("hello", { to: "you" });
    return null;
  },
});

export const crash = queryGeneric({
  args: {},
  handler: async () => {
    throw new TypeError("plain crash");
  },
});

export const viewer = queryGeneric({
  args: {},
  handler: async (ctx) => {
    const before = await ctx.auth.getUserIdentity();
    await ctx.db.query("notes").collect();
    const after = await ctx.auth.getUserIdentity();
    return { before, after };
  },
});
