import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  notes: defineTable({
    text: v.string(),
    count: v.optional(v.int64()),
    extra: v.optional(v.any()),
    rev: v.optional(v.commitTs()),
  }).index("by_text", ["text"]),
});
