import type { Auth } from "convex/server";
import { refuse } from "./errors";
import { type Caller, callerOf, permissionsOf } from "./identity";
import { tableNamed } from "./metadata";
import type { Action } from "./types";

// Evaluates the tables' access rules in the same way as `database/core/tables/access_rules.py`.

/** The records that a caller may access: all, or those whose owner column contains the caller's subject. */
export interface Permitted {
  /** The author of changes; null for an anonymous caller. */
  actor: string | null;
  own: { column: string; subject: string } | null;
}

/** The records of a table for which the caller may do all of the actions; refuses a caller who may do so for none. */
export async function permitted(ctx: { auth: Auth }, table: string, ...actions: Action[]): Promise<Permitted> {
  const caller = await callerOf(ctx);
  if (caller?.service) {
    return { actor: caller.subject, own: null };
  }
  const { access, owner } = tableNamed(table);
  const permissions = await permissionsOf(ctx);
  const admitting = actions.map((action) => access[action].filter((rule) => admits(rule, caller, permissions)));
  if (admitting.some((rules) => rules.length === 0)) {
    return refuse({ code: caller === null ? "UNAUTHENTICATED" : "FORBIDDEN" });
  }
  const all = admitting.every((rules) => rules.some((rule) => rule !== "owner"));
  const own = all || owner === null || caller === null ? null : { column: owner, subject: caller.subject };
  return { actor: caller?.subject ?? null, own };
}

/** Whether a rule admits the caller; the rule `owner` only admits to the caller's own records. */
function admits(rule: string, caller: Caller | null, permissions: string[]): boolean {
  if (rule === "anyone" || caller === null) {
    return rule === "anyone";
  }
  if (rule === "owner") {
    return caller.subject !== "";
  }
  if (rule === "user" || caller.role === "admin") {
    return true;
  }
  const [kind, ...names] = rule.split(":");
  const [area, action = area] = names;
  return kind === "role"
    ? caller.role === area
    : ["*", "*:*", `${area}:*`, `*:${action}`, `${area}:${action}`].some((each) => permissions.includes(each));
}
