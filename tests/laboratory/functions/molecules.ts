import { v } from "convex/values";
import { recordFunctions } from "./lib/record_functions";

export const { list, get, create, update, remove } = recordFunctions("molecules", {
  name: v.string(),
  formula: v.optional(v.union(v.null(), v.string())),
  properties: v.optional(v.any()),
});
