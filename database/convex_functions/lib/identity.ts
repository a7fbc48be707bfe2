import type { Auth } from "convex/server";
import { refuse } from "./errors";

/** Who acts as this issuer has the deploy key: the application's own server. No identity provider may be called so. */
const SERVICE = "isthmus";

/** Who calls a function. */
export interface Caller {
  subject: string;
  issuer: string;
  /** The application's role of a user. */
  role: string | null;
  /** It is the application's own server. */
  service: boolean;
}

/** The caller, or null for one who is not signed in. */
export async function callerOf(ctx: { auth: Auth }): Promise<Caller | null> {
  const identity = await ctx.auth.getUserIdentity();
  if (identity === null) {
    return null;
  }
  const { subject, issuer } = identity;
  const role = identity["app_metadata.role"];
  return { subject, issuer, role: typeof role === "string" ? role : null, service: issuer === SERVICE };
}

/** The application's permissions of the caller. */
export async function permissionsOf(ctx: { auth: Auth }): Promise<string[]> {
  const granted: unknown = (await ctx.auth.getUserIdentity())?.["app_metadata.permissions"];
  return Array.isArray(granted) ? granted.filter((each) => typeof each === "string") : [];
}

/** The caller, who must be signed in. */
export async function requireCaller(ctx: { auth: Auth }): Promise<Caller> {
  return (await callerOf(ctx)) ?? refuse({ code: "UNAUTHENTICATED" });
}

/** The caller, who must be an administrator or the application's own server. */
export async function requireAdmin(ctx: { auth: Auth }): Promise<Caller> {
  const caller = await requireCaller(ctx);
  return caller.service || caller.role === "admin" ? caller : refuse({ code: "FORBIDDEN" });
}
