import type { Auth } from "convex/server";
import { refuse } from "./errors";
import { type Caller, callerOf, permissionsOf } from "./identity";
import { tableNamed } from "./metadata";
import type { Action } from "./types";

// The access rules that the tables declare, decided as `database/core/tables/access_rules.py` does.

/** What a caller may do: to all records, or to those that have their subject in the owner's column. */
export interface Permitted {
  /** Who makes the changes; null for one who is not signed in. */
  actor: string | null;
  own: { column: string; subject: string } | null;
}

/** What the caller may do to a table's records, if they may do all of the actions to some of them. */
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

/** Whether a caller is of the kind that a rule is for; an owner, to the records that are theirs. */
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
