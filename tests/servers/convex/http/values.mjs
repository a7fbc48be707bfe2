// Convex values as JSON text, in the formats that a client may ask for.

import { convexToJson } from "convex/values";

import { badRequest } from "../errors.mjs";

/** Formats by name: `json` loses types (int64 and bytes become strings), `convex_encoded_json` keeps them. */
const FORMATS = {
  json: lossy,
  convex_clean_json: lossy,
  convex_json: convexToJson,
  convex_encoded_json: convexToJson,
};

/** The function that writes a Convex value in a format. */
export function formatter(name = "json") {
  if (!Object.hasOwn(FORMATS, name)) {
    throw badRequest("BadFormat", `format param must be one of [\`json\`]. Got ${name}`);
  }
  const toJson = FORMATS[name];
  return (value) => stringify(toJson(value));
}

/**
 * JSON text with a fraction or an exponent in every number, since each is a 64-bit float. Clients tell floats from
 * other things by it; the official Python client refuses `5`.
 */
export function stringify(json) {
  if (typeof json === "number") return float(json);
  if (Array.isArray(json)) return `[${json.map(stringify).join(",")}]`;
  if (json === null || typeof json !== "object") return JSON.stringify(json);
  const members = Object.entries(json).map(([name, value]) => `${JSON.stringify(name)}:${stringify(value)}`);
  return `{${members.join(",")}}`;
}

function float(number) {
  const text = Object.is(number, -0) ? "-0" : String(number);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function lossy(value) {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (value instanceof ArrayBuffer) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(lossy);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, lossy(member)]));
}

/** A timestamp in nanoseconds as the HTTP interface writes it: 8 bytes, least significant first, in base64. */
export function encodeTimestamp(nanoseconds) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(nanoseconds);
  return bytes.toString("base64");
}

export function decodeTimestamp(text) {
  const bytes = Buffer.from(String(text), "base64");
  if (bytes.length !== 8) throw badRequest("BadJsonBody", "ts is not a timestamp");
  return bytes.readBigUInt64LE();
}
