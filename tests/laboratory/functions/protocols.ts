import { v } from "convex/values";
import { recordFunctions } from "./lib/record_functions";

export const { list, get, create, update, remove } = recordFunctions("protocols", {
  name: v.string(),
  description: v.optional(v.union(v.null(), v.string())),
  steps: v.optional(v.any()),
});
