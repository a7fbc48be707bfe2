import { ConvexError, v } from "convex/values";
import {
  actionGeneric,
  internalMutationGeneric,
  makeFunctionReference,
  mutationGeneric,
  queryGeneric,
} from "convex/server";

const addNote = makeFunctionReference<"mutation">("notes:add");

export const list = queryGeneric({
  args: {},
  handler: async (ctx) => (await ctx.db.query("notes").collect()).map(({ text }) => text),
});

export const find = queryGeneric({
  args: { text: v.string() },
  handler: async (ctx, { text }) =>
    ctx.db
      .query("notes")
      .withIndex("by_text", (range) => range.eq("text", text))
      .first(),
});

export const add = mutationGeneric({
  args: { text: v.string() },
  returns: v.id("notes"),
  handler: async (ctx, { text }) => ctx.db.insert("notes", { text, count: 7n, rev: ctx.db.vars.commitTs }),
});

export const addInternally = internalMutationGeneric({
  args: { text: v.string() },
  handler: async (ctx, { text }) => ctx.db.insert("notes", { text }),
});

export const addMany = mutationGeneric({
  args: { count: v.number() },
  handler: async (ctx, { count }) => {
    for (let index = 0; index < count; index += 1) await ctx.db.insert("notes", { text: `note ${index}` });
  },
});

export const addExtra = mutationGeneric({
  args: { extra: v.any() },
  handler: async (ctx, { extra }) => {
    await ctx.db.insert("notes", { text: "extra", extra });
  },
});

/** Adds a note with an array of `length` elements and returns an array of them. */
export const addAndReturnMany = mutationGeneric({
  args: { length: v.number() },
  handler: async (ctx, { length }) => {
    await ctx.db.insert("notes", { text: "returned" });
    return Array.from({ length }, () => 0);
  },
});

export const addField = mutationGeneric({
  args: { field: v.string() },
  handler: async (ctx, { field }) => {
    await ctx.db.insert("notes", { text: "field", [field]: 1 });
  },
});

export const addOversized = mutationGeneric({
  args: { characters: v.number() },
  handler: async (ctx, { characters }) => {
    await ctx.db.insert("notes", { text: "x".repeat(characters) });
  },
});

export const writeSystemTable = mutationGeneric({
  args: {},
  handler: async (ctx) => {
    const id = await ctx.scheduler.runAfter(24 * 3600 * 1000, addNote, { text: "tomorrow" });
    await ctx.db.patch(id, { name: "notes:list" } as never);
  },
});

export const readMany = queryGeneric({
  args: { times: v.number() },
  handler: async (ctx, { times }) => {
    for (let time = 0; time < times; time += 1) await ctx.db.query("notes").first();
  },
});

export const addAndFail = mutationGeneric({
  args: { data: v.any() },
  handler: async (ctx, { data }) => {
    await ctx.db.insert("notes", { text: "never" });
    throw new ConvexError(data);
  },
});

export const addThroughAction = actionGeneric({
  args: { text: v.string() },
  handler: async (ctx, { text }) => ctx.runMutation(addNote, { text }),
});

export const commitTime = mutationGeneric({
  args: {},
  handler: async (ctx) => ctx.db.vars.commitTs,
});
