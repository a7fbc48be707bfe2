// Who sends a request: a user with a token, the holder of the deploy key, or nobody.

import crypto from "node:crypto";

import { badRequest, unauthenticated } from "./errors.mjs";
import { KeySet } from "./jwks.mjs";

const KEY_TYPES = { ES256: "ec", RS256: "rsa" }; // by signature algorithm
const LEEWAY = 5; // seconds by which clocks may differ
const NOT_PART_OF_AN_IDENTITY = new Set(["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "fva"]);

const NOBODY = Object.freeze({ admin: false, identity: null });

/**
 * Reads the `Authorization` header.
 *
 * A caller is `{admin, identity}`: whether internal functions may be called, and what `ctx.auth.getUserIdentity()`
 * gives.
 */
export class Authenticator {
  #providers;
  #deployKey;

  /**
   * @param {object[]} providers those of `auth.config.ts`; all of type `customJwt`
   * @param {string} deployKey like `dev:name|secret`, of which the type before the colon is not compared, or any other text without a colon
   */
  constructor(providers, deployKey) {
    this.#providers = providers.map(readProvider);
    this.#deployKey = withoutType(deployKey);
  }

  async authenticate(header) {
    if (!header) return NOBODY;
    const [scheme, credentials] = split(header.trim(), " ");
    switch (scheme.toLowerCase()) {
      case "bearer":
        return { admin: false, identity: await this.#user(credentials) };
      case "convex":
        return { admin: true, identity: this.#actingAs(credentials) };
      default:
        throw badRequest("InvalidAdminKey", "The Authorization header is neither a Bearer token nor a Convex key");
    }
  }

  /** The identity in `<key>` or `<key>:<base64 JSON>`, once the key is found right. */
  #actingAs(credentials) {
    const [key, encoded] = split(withoutType(credentials), ":");
    if (!equal(key, this.#deployKey)) {
      throw unauthenticated("The provided deploy key was invalid for this instance", "BadAdminKey");
    }
    if (!encoded) return null;
    const identity = parseJson(encoded, "base64", "Could not parse the identity to act as");
    return { ...identity, tokenIdentifier: identity.tokenIdentifier ?? `${identity.issuer}|${identity.subject}` };
  }

  async #user(token) {
    const parts = token.split(".");
    if (parts.length !== 3) throw unauthenticated("Could not parse JWT: it has not three parts separated by dots");
    const [header, claims] = parts.slice(0, 2).map((part) => parseJson(part, "base64url", "Could not parse JWT"));
    const provider = this.#providerOf(claims);
    await verifySignature(parts, header, provider);
    checkClaims(claims);
    return identityFrom(claims);
  }

  #providerOf({ iss, aud }) {
    if (!iss) throw unauthenticated("Missing issuer claim ('iss') in JWT payload");
    const provider = this.#providers.find(
      ({ issuer, audience }) => issuer === asUrl(iss) && (audience === undefined || [aud].flat().includes(audience)),
    );
    if (!provider) throw unauthenticated("No auth provider found matching the given token", "NoAuthProvider");
    return provider;
  }
}

function readProvider({ type, issuer, jwks, algorithm, applicationID }) {
  if (type !== "customJwt") throw new Error(`auth.config: providers of type ${type ?? "OIDC"} are not supported`);
  if (!issuer || !jwks) throw new Error("auth.config: issuer and jwks are needed");
  if (!Object.hasOwn(KEY_TYPES, algorithm)) {
    throw new Error(`auth.config: algorithm must be one of ${Object.keys(KEY_TYPES).join(", ")}`);
  }
  return { issuer: asUrl(issuer), audience: applicationID, algorithm, keys: new KeySet(jwks) };
}

async function verifySignature([header, payload, signature], { kid, alg }, { algorithm, keys }) {
  if (!kid) throw unauthenticated("Could not decode token. JWT may be missing a 'kid' (key ID) header.");
  const key = await keys.find(kid);
  if (alg !== algorithm || !fits(key, algorithm) || !signed(`${header}.${payload}`, signature, key.publicKey)) {
    throw unauthenticated(`Could not decode token. Does the 'kid' '${kid}' match any key in the provider's JWKS?`);
  }
}

const fits = (key, algorithm) =>
  key?.publicKey.asymmetricKeyType === KEY_TYPES[algorithm] && (key.algorithm ?? algorithm) === algorithm;

function signed(text, signature, publicKey) {
  // A JWT has the two numbers of an ECDSA signature side by side; RSA knows no such choice and ignores it.
  const key = { key: publicKey, dsaEncoding: "ieee-p1363" };
  return crypto.verify("SHA256", Buffer.from(text), key, Buffer.from(signature, "base64url"));
}

function checkClaims({ sub, exp, nbf = 0, iat = 0 }) {
  const now = Date.now() / 1000;
  if (!sub) throw unauthenticated("Missing subject claim ('sub') in JWT payload");
  if (typeof exp !== "number") throw unauthenticated("Missing expiry claim ('exp') in JWT payload");
  if (exp + LEEWAY < now) throw unauthenticated("Could not validate token: Token expired");
  if (Math.max(nbf, iat) - LEEWAY > now) throw unauthenticated("Could not validate token: Token not yet valid");
}

function identityFrom(claims) {
  const { iss: issuer, sub: subject } = claims;
  const rest = Object.entries(claims).filter(([name]) => !NOT_PART_OF_AN_IDENTITY.has(name));
  return { tokenIdentifier: `${issuer}|${subject}`, issuer, subject, ...Object.fromEntries(flattened(rest)) };
}

/** Claims of claims become `outer.inner`; arrays stay. */
function flattened(claims, prefix = "") {
  return claims.flatMap(([name, value]) => {
    const nested = typeof value === "object" && value !== null && !Array.isArray(value);
    return nested ? flattened(Object.entries(value), `${prefix}${name}.`) : [[prefix + name, value]];
  });
}

function parseJson(text, encoding, problem) {
  try {
    return JSON.parse(Buffer.from(text, encoding).toString());
  } catch {
    throw unauthenticated(problem);
  }
}

/** An issuer with a scheme and without a trailing slash, as they are compared. */
function asUrl(issuer) {
  return (/^https?:\/\//.test(issuer) ? issuer : `https://${issuer}`).replace(/\/+$/, "");
}

/** The `name|secret` of `prod:name|secret`. */
const withoutType = (key) => key.replace(/^[^|:]*:(?=[^:]*\|)/, "");

function split(text, separator) {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + separator.length)];
}

function equal(given, expected) {
  const [left, right] = [given, expected].map((text) => crypto.createHash("sha256").update(text).digest());
  return crypto.timingSafeEqual(left, right);
}
