import { v } from "convex/values";
import { recordFunctions } from "./lib/record_functions";

const functions = recordFunctions("diaries" as never, { owner_id: v.optional(v.string()), title: v.string() });

export const { list, get, create, update } = functions;
export const burn = functions.remove;
