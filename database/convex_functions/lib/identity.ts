import type { Auth } from "convex/server";
import { refuse } from "./errors";

/** The issuer of the application's own server, which has the deploy key. No identity provider may have this name. */
const SERVICE = "isthmus";

/** The caller of a function. */
export interface Caller {
  subject: string;
  issuer: string;
  /** The user's role in the application. */
  role: string | null;
  /** Whether the caller is the application's own server. */
  service: boolean;
}

/** The caller; null for an anonymous one. */
export async function callerOf(ctx: { auth: Auth }): Promise<Caller | null> {
  const identity = await ctx.auth.getUserIdentity();
  if (identity === null) {
    return null;
  }
  const { subject, issuer } = identity;
  const role = identity["app_metadata.role"];
  return { subject, issuer, role: typeof role === "string" ? role : null, service: issuer === SERVICE };
}

/** The caller's permissions in the application. */
export async function permissionsOf(ctx: { auth: Auth }): Promise<string[]> {
  const granted: unknown = (await ctx.auth.getUserIdentity())?.["app_metadata.permissions"];
  return Array.isArray(granted) ? granted.filter((each) => typeof each === "string") : [];
}

/** The caller; refuses an anonymous one. */
export async function requireCaller(ctx: { auth: Auth }): Promise<Caller> {
  return (await callerOf(ctx)) ?? refuse({ code: "UNAUTHENTICATED" });
}

/** The caller; refuses anyone but an administrator and the application's own server. */
export async function requireAdmin(ctx: { auth: Auth }): Promise<Caller> {
  const caller = await requireCaller(ctx);
  return caller.service || caller.role === "admin" ? caller : refuse({ code: "FORBIDDEN" });
}
