// The limits of Convex on values and documents. What a transaction may read and write is counted by convex-test, and
// the names of fields within values are checked by Convex' own package.
// https://docs.convex.dev/production/state/limits

import { getConvexSize, getDocumentSize, jsonToConvex } from "convex/values";

const MIB = 2 ** 20;
const MAX_FIELDS = 1024;
const MAX_ELEMENTS = 8192;
const MAX_DEPTH = 64;
const MAX_DOCUMENT_DEPTH = 16;
const MAX_DOCUMENT_SIZE = MIB;
const MAX_RESULT_SIZE = 16 * MIB;

const DOCUMENT_FIELD = /^(_id|_creationTime|[a-zA-Z]\w{0,63})$/;

const DOCUMENT_WRITES = new Set(["1.0/insert", "1.0/shallowMerge", "1.0/replace"]);
const WRITES = new Set([...DOCUMENT_WRITES, "1.0/remove"]);

/** Throw an `Error` unless `value` may be an argument, or a part of a result or document. */
export function checkValue(value, depth = 0) {
  if (depth > MAX_DEPTH) throw new Error(`Value is too nested (maximum nesting ${MAX_DEPTH})`);
  if (Array.isArray(value)) checkArray(value, depth);
  else if (isObject(value)) checkObject(value, depth);
}

/** Throw an `Error` unless `value` may be a function's result. */
export function checkResult(value) {
  checkValue(value);
  if (getConvexSize(value ?? null) > MAX_RESULT_SIZE) throw tooLarge(MAX_RESULT_SIZE);
}

/** Throw an `Error` unless `document`, or the part of it that a patch replaces, may be stored. */
export function checkDocument(document) {
  checkValue(document);
  const depth = depthOf(document);
  if (depth > MAX_DOCUMENT_DEPTH) {
    throw new Error(`Document is too nested (nested ${depth} levels deep > maximum nesting ${MAX_DOCUMENT_DEPTH})`);
  }
  for (const field of Object.keys(document)) {
    if (!DOCUMENT_FIELD.test(field)) throw new Error(`Field '${field}' is not allowed at the top level of a document.`);
  }
  if (getDocumentSize(document) > MAX_DOCUMENT_SIZE) throw tooLarge(MAX_DOCUMENT_SIZE);
}

/** Have every write that a function makes through convex-test checked first. */
export function guardWrites() {
  const { Convex } = globalThis;
  globalThis.Convex = {
    // Which database they belong to depends on who asks, and when.
    syscall: (...call) => Convex.syscall(...call),
    jsSyscall: (...call) => Convex.jsSyscall(...call),
    asyncSyscall: async (name, argument) => {
      if (WRITES.has(name)) checkWrite(name, JSON.parse(argument));
      return Convex.asyncSyscall(name, argument);
    },
  };
}

function checkWrite(name, { table, id, value }) {
  const target = table ?? String(id).replace(/^\d+/, "");
  if (target.startsWith("_")) throw new Error(`Cannot write to system table ${target}`);
  if (DOCUMENT_WRITES.has(name)) checkDocument(jsonToConvex(withoutRemovals(value)));
}

/** A patch removes the fields that are `{"$undefined": null}` in it. */
function withoutRemovals(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !(isObject(value) && "$undefined" in value)));
}

function checkArray(array, depth) {
  if (array.length > MAX_ELEMENTS) {
    throw new Error(`Array length is too long (${array.length} > maximum length ${MAX_ELEMENTS})`);
  }
  for (const element of array) checkValue(element, depth + 1);
}

function checkObject(object, depth) {
  const fields = Object.keys(object);
  if (fields.length > MAX_FIELDS) {
    throw new Error(`Object has too many fields (${fields.length} > maximum number ${MAX_FIELDS})`);
  }
  for (const field of fields) checkValue(object[field], depth + 1);
}

function depthOf(value) {
  const parts = Array.isArray(value) ? value : isObject(value) ? Object.values(value) : undefined;
  return parts === undefined ? 0 : 1 + parts.reduce((deepest, part) => Math.max(deepest, depthOf(part)), 0);
}

function isObject(value) {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

const tooLarge = (limit) => new Error(`Value is too large (maximum size ${limit / MIB} MiB)`);
