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
import type * as convergence from "../convergence.js";
import type * as crons from "../crons.js";
import type * as experiments from "../experiments.js";
import type * as isthmus from "../isthmus.js";
import type * as lib_access from "../lib/access.js";
import type * as lib_convergence from "../lib/convergence.js";
import type * as lib_database from "../lib/database.js";
import type * as lib_errors from "../lib/errors.js";
import type * as lib_identity from "../lib/identity.js";
import type * as lib_internal_schema from "../lib/internal_schema.js";
import type * as lib_internal_tables from "../lib/internal_tables.js";
import type * as lib_keys from "../lib/keys.js";
import type * as lib_metadata from "../lib/metadata.js";
import type * as lib_query_bounds from "../lib/query/bounds.js";
import type * as lib_query_budget from "../lib/query/budget.js";
import type * as lib_query_containment from "../lib/query/containment.js";
import type * as lib_query_filters from "../lib/query/filters.js";
import type * as lib_query_groups from "../lib/query/groups.js";
import type * as lib_query_order from "../lib/query/order.js";
import type * as lib_query_patterns from "../lib/query/patterns.js";
import type * as lib_query_plan from "../lib/query/plan.js";
import type * as lib_query_scan from "../lib/query/scan.js";
import type * as lib_query_select from "../lib/query/select.js";
import type * as lib_record_functions from "../lib/record_functions.js";
import type * as lib_records from "../lib/records.js";
import type * as lib_texts from "../lib/texts.js";
import type * as lib_types from "../lib/types.js";
import type * as lib_values from "../lib/values.js";
import type * as lib_writing_batches from "../lib/writing/batches.js";
import type * as lib_writing_changes from "../lib/writing/changes.js";
import type * as lib_writing_changeset from "../lib/writing/changeset.js";
import type * as lib_writing_commit from "../lib/writing/commit.js";
import type * as lib_writing_constraints from "../lib/writing/constraints.js";
import type * as lib_writing_numbers from "../lib/writing/numbers.js";
import type * as lib_writing_purge from "../lib/writing/purge.js";
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
  convergence: typeof convergence;
  crons: typeof crons;
  experiments: typeof experiments;
  isthmus: typeof isthmus;
  "lib/access": typeof lib_access;
  "lib/convergence": typeof lib_convergence;
  "lib/database": typeof lib_database;
  "lib/errors": typeof lib_errors;
  "lib/identity": typeof lib_identity;
  "lib/internal_schema": typeof lib_internal_schema;
  "lib/internal_tables": typeof lib_internal_tables;
  "lib/keys": typeof lib_keys;
  "lib/metadata": typeof lib_metadata;
  "lib/query/bounds": typeof lib_query_bounds;
  "lib/query/budget": typeof lib_query_budget;
  "lib/query/containment": typeof lib_query_containment;
  "lib/query/filters": typeof lib_query_filters;
  "lib/query/groups": typeof lib_query_groups;
  "lib/query/order": typeof lib_query_order;
  "lib/query/patterns": typeof lib_query_patterns;
  "lib/query/plan": typeof lib_query_plan;
  "lib/query/scan": typeof lib_query_scan;
  "lib/query/select": typeof lib_query_select;
  "lib/record_functions": typeof lib_record_functions;
  "lib/records": typeof lib_records;
  "lib/texts": typeof lib_texts;
  "lib/types": typeof lib_types;
  "lib/values": typeof lib_values;
  "lib/writing/batches": typeof lib_writing_batches;
  "lib/writing/changes": typeof lib_writing_changes;
  "lib/writing/changeset": typeof lib_writing_changeset;
  "lib/writing/commit": typeof lib_writing_commit;
  "lib/writing/constraints": typeof lib_writing_constraints;
  "lib/writing/numbers": typeof lib_writing_numbers;
  "lib/writing/purge": typeof lib_writing_purge;
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
