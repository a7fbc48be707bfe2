/* eslint-disable */
/**
 * Generated `api` utility.
 *
 * THIS CODE IS AUTOMATICALLY GENERATED.
 *
 * To regenerate, run `npx convex dev`.
 * @module
 */

import type {
  ApiFromModules,
  FilterApi,
  FunctionReference,
} from "convex/server";
import type * as crons from "../crons.js";
import type * as experiments from "../experiments.js";
import type * as isthmus from "../isthmus.js";
import type * as lib_access from "../lib/access.js";
import type * as lib_batches from "../lib/batches.js";
import type * as lib_bounds from "../lib/bounds.js";
import type * as lib_budget from "../lib/budget.js";
import type * as lib_changes from "../lib/changes.js";
import type * as lib_changeset from "../lib/changeset.js";
import type * as lib_commit from "../lib/commit.js";
import type * as lib_constraints from "../lib/constraints.js";
import type * as lib_containment from "../lib/containment.js";
import type * as lib_database from "../lib/database.js";
import type * as lib_errors from "../lib/errors.js";
import type * as lib_filters from "../lib/filters.js";
import type * as lib_groups from "../lib/groups.js";
import type * as lib_identity from "../lib/identity.js";
import type * as lib_internal_schema from "../lib/internal_schema.js";
import type * as lib_internal_tables from "../lib/internal_tables.js";
import type * as lib_metadata from "../lib/metadata.js";
import type * as lib_order from "../lib/order.js";
import type * as lib_patterns from "../lib/patterns.js";
import type * as lib_plan from "../lib/plan.js";
import type * as lib_purge from "../lib/purge.js";
import type * as lib_record_functions from "../lib/record_functions.js";
import type * as lib_records from "../lib/records.js";
import type * as lib_scan from "../lib/scan.js";
import type * as lib_select from "../lib/select.js";
import type * as lib_texts from "../lib/texts.js";
import type * as lib_types from "../lib/types.js";
import type * as lib_values from "../lib/values.js";
import type * as molecules from "../molecules.js";
import type * as protocols from "../protocols.js";
import type * as record_modules from "../record_modules.js";
import type * as tables from "../tables.js";
import type * as users from "../users.js";

/**
 * A utility for referencing Convex functions in your app's API.
 *
 * Usage:
 * ```js
 * const myFunctionReference = api.myModule.myFunction;
 * ```
 */
declare const fullApi: ApiFromModules<{
  crons: typeof crons;
  experiments: typeof experiments;
  isthmus: typeof isthmus;
  "lib/access": typeof lib_access;
  "lib/batches": typeof lib_batches;
  "lib/bounds": typeof lib_bounds;
  "lib/budget": typeof lib_budget;
  "lib/changes": typeof lib_changes;
  "lib/changeset": typeof lib_changeset;
  "lib/commit": typeof lib_commit;
  "lib/constraints": typeof lib_constraints;
  "lib/containment": typeof lib_containment;
  "lib/database": typeof lib_database;
  "lib/errors": typeof lib_errors;
  "lib/filters": typeof lib_filters;
  "lib/groups": typeof lib_groups;
  "lib/identity": typeof lib_identity;
  "lib/internal_schema": typeof lib_internal_schema;
  "lib/internal_tables": typeof lib_internal_tables;
  "lib/metadata": typeof lib_metadata;
  "lib/order": typeof lib_order;
  "lib/patterns": typeof lib_patterns;
  "lib/plan": typeof lib_plan;
  "lib/purge": typeof lib_purge;
  "lib/record_functions": typeof lib_record_functions;
  "lib/records": typeof lib_records;
  "lib/scan": typeof lib_scan;
  "lib/select": typeof lib_select;
  "lib/texts": typeof lib_texts;
  "lib/types": typeof lib_types;
  "lib/values": typeof lib_values;
  molecules: typeof molecules;
  protocols: typeof protocols;
  record_modules: typeof record_modules;
  tables: typeof tables;
  users: typeof users;
}>;
export declare const api: FilterApi<
  typeof fullApi,
  FunctionReference<any, "public">
>;
export declare const internal: FilterApi<
  typeof fullApi,
  FunctionReference<any, "internal">
>;
