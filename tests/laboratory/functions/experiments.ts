import { v } from "convex/values";
import { recordFunctions } from "./lib/record_functions";

export const { list, get, create, update, remove } = recordFunctions("experiments", {
  name: v.string(),
  molecule_id: v.optional(v.union(v.null(), v.string())),
  protocol_id: v.optional(v.union(v.null(), v.string())),
  results: v.optional(v.any()),
});
