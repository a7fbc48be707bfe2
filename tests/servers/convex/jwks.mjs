// Sets of public keys, at an address or in a `data:` URI.

import crypto from "node:crypto";

import { unauthenticated } from "./errors.mjs";

const PUBLIC_KEY_TYPES = new Set(["EC", "RSA"]);

const KEY_SET_TYPE = /^application\/(jwk-set\+)?json\b/;

/** The keys of a provider by their id; fetched when first needed, and again when a token names an unknown one. */
export class KeySet {
  #uri;
  #keys = new Map();

  constructor(uri) {
    this.#uri = uri;
  }

  /** The key named `kid` as `{algorithm, publicKey}`, where either `algorithm` is undefined or the key is for it alone. */
  async find(kid) {
    if (!this.#keys.has(kid)) await this.#load();
    return this.#keys.get(kid);
  }

  async #load() {
    const { keys } = this.#uri.startsWith("data:") ? decode(this.#uri) : await download(this.#uri);
    const usable = keys.filter(({ kty }) => PUBLIC_KEY_TYPES.has(kty));
    this.#keys = new Map(usable.map((key) => [key.kid, imported(key)]));
  }
}

function imported(key) {
  return { algorithm: key.alg, publicKey: crypto.createPublicKey({ key, format: "jwk" }) };
}

function decode(uri) {
  const comma = uri.indexOf(",");
  const data = uri.slice(comma + 1);
  const text = uri.slice(0, comma).endsWith(";base64")
    ? Buffer.from(data, "base64").toString()
    : decodeURIComponent(data);
  return JSON.parse(text);
}

async function download(url) {
  const response = await answerOf(url);
  if (!response.ok) throw unauthenticated(`Could not fetch JWKS from URL '${url}': HTTP ${response.status}`);
  const type = response.headers.get("content-type") ?? "";
  if (!KEY_SET_TYPE.test(type))
    throw unauthenticated(`Invalid Content-Type '${type}' when fetching JWKS from '${url}'`);
  return response.json();
}

async function answerOf(url) {
  try {
    return await fetch(url, { headers: { accept: "application/json" } });
  } catch (cause) {
    throw unauthenticated(`Could not fetch JWKS from URL '${url}'`, undefined, { cause });
  }
}
