import { v } from "convex/values";
import { mutation, query } from "./_generated/server";
import { createRecord, getRecord, listRecords, removeRecord, updateRecord } from "./lib/records";

const fields = {
  name: v.string(),
  description: v.optional(v.union(v.null(), v.string())),
  steps: v.optional(v.any()),
};

/** The oldest protocols, at most `limit` of them (100 unless given). */
export const list = query({
  args: { limit: v.optional(v.number()) },
  handler: (ctx, { limit }) => listRecords(ctx, "protocols", limit),
});

/** The protocol of that id, or null. */
export const get = query({
  args: { id: v.string() },
  handler: (ctx, { id }) => getRecord(ctx, "protocols", id),
});

/** Make a protocol and return it. */
export const create = mutation({
  args: { data: v.object(fields) },
  handler: (ctx, { data }) => createRecord(ctx, "protocols", data),
});

/** Change what is given of a protocol and return it. */
export const update = mutation({
  args: { id: v.string(), data: v.object(fields).partial() },
  handler: (ctx, { id, data }) => updateRecord(ctx, "protocols", id, data),
});

/** Delete a protocol. */
export const remove = mutation({
  args: { id: v.string() },
  handler: (ctx, { id }) => removeRecord(ctx, "protocols", id),
});
