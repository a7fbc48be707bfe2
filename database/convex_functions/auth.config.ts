import type { AuthConfig } from "convex/server";

declare const process: { env: Record<string, string> };

// Accepts the tokens that the Flask application issues. Convex deploys nothing until the first three variables are set.
export default {
  providers: [
    {
      type: "customJwt",
      issuer: process.env.CONVEX_JWT_ISSUER,
      applicationID: process.env.CONVEX_JWT_AUDIENCE,
      jwks: process.env.CONVEX_JWT_JWKS,
      algorithm: algorithm() === "RS256" ? "RS256" : "ES256",
    },
  ],
} satisfies AuthConfig;

/** Reading an unset variable throws on Convex. */
function algorithm(): string | undefined {
  try {
    return process.env.CONVEX_JWT_ALGORITHM;
  } catch {
    return undefined;
  }
}
