import { v } from "convex/values";
import { mutation, query } from "./_generated/server";
import { createRecord, getRecord, listRecords, removeRecord, updateRecord } from "./lib/records";

const fields = {
  name: v.string(),
  molecule_id: v.optional(v.union(v.null(), v.string())),
  protocol_id: v.optional(v.union(v.null(), v.string())),
  results: v.optional(v.any()),
};

/** The oldest experiments, at most `limit` of them (100 unless given). */
export const list = query({
  args: { limit: v.optional(v.number()) },
  handler: (ctx, { limit }) => listRecords(ctx, "experiments", limit),
});

/** The experiment of that id, or null. */
export const get = query({
  args: { id: v.string() },
  handler: (ctx, { id }) => getRecord(ctx, "experiments", id),
});

/** Make an experiment and return it. */
export const create = mutation({
  args: { data: v.object(fields) },
  handler: (ctx, { data }) => createRecord(ctx, "experiments", data),
});

/** Change what is given of an experiment and return it. */
export const update = mutation({
  args: { id: v.string(), data: v.object(fields).partial() },
  handler: (ctx, { id, data }) => updateRecord(ctx, "experiments", id, data),
});

/** Delete an experiment. */
export const remove = mutation({
  args: { id: v.string() },
  handler: (ctx, { id }) => removeRecord(ctx, "experiments", id),
});
