import { v } from "convex/values";
import { mutation, query } from "./_generated/server";
import { createRecord, getRecord, listRecords, removeRecord, updateRecord } from "./lib/records";

const fields = {
  name: v.string(),
  formula: v.optional(v.union(v.null(), v.string())),
  properties: v.optional(v.any()),
};

/** The oldest molecules, at most `limit` of them (100 unless given). */
export const list = query({
  args: { limit: v.optional(v.number()) },
  handler: (ctx, { limit }) => listRecords(ctx, "molecules", limit),
});

/** The molecule of that id, or null. */
export const get = query({
  args: { id: v.string() },
  handler: (ctx, { id }) => getRecord(ctx, "molecules", id),
});

/** Make a molecule and return it. */
export const create = mutation({
  args: { data: v.object(fields) },
  handler: (ctx, { data }) => createRecord(ctx, "molecules", data),
});

/** Change what is given of a molecule and return it. */
export const update = mutation({
  args: { id: v.string(), data: v.object(fields).partial() },
  handler: (ctx, { id, data }) => updateRecord(ctx, "molecules", id, data),
});

/** Delete a molecule. */
export const remove = mutation({
  args: { id: v.string() },
  handler: (ctx, { id }) => removeRecord(ctx, "molecules", id),
});
