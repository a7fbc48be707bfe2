// The queries of Convex itself that its tools send with the deploy key.

import { kindOf } from "../functions.mjs";

const ANY = { type: "any" };
const TYPES = { query: "Query", mutation: "Mutation", action: "Action" };

/** What `npx convex function-spec` lists: every function with its kind, visibility, arguments and result. */
function apiSpec(functions) {
  return functions.entries().map(([path, exported]) => ({
    identifier: path.replace(":", ".js:"),
    functionType: TYPES[kindOf(exported)],
    visibility: { kind: exported.isInternal ? "internal" : "public" },
    args: JSON.parse(exported.exportArgs()),
    returns: JSON.parse(exported.exportReturns()) ?? ANY,
  }));
}

/** System queries by path; each is given the functions of the deployment. */
export const SYSTEM_QUERIES = new Map([["_system/cli/modules:apiSpec", apiSpec]]);
