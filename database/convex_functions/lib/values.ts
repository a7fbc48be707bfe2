import { convexToJson, type Value } from "convex/values";

/** Values that have an order: those of all kinds except JSON. */
export type Scalar = string | number | bigint | boolean;

const FIRST_SURROGATE = 0xd800;
const LAST_SURROGATE = 0xdfff;

/** The types of values in the sort order of Convex's indexes. */
const TYPES = ["null", "bigint", "number", "boolean", "string", "bytes", "list", "object"];

/**
 * Negative, zero or positive if `one` is less than, equal to or greater than `other`. Values of different types, which
 * only another program can have written, are ordered as in Convex's indexes.
 */
export function compareScalars(one: Scalar, other: Scalar): number {
  const type = typeOf(one);
  if (type !== typeOf(other)) {
    return TYPES.indexOf(type) - TYPES.indexOf(typeOf(other));
  }
  if (type === "string") {
    return compareText(one as string, other as string);
  }
  if (type === "number") {
    // NaN comes last.
    return compare(Number.isNaN(one), Number.isNaN(other)) || compare(one, other);
  }
  return TYPES.indexOf(type) > TYPES.indexOf("string") ? compareText(encoded(one), encoded(other)) : compare(one, other);
}

function compare<V>(one: V, other: V): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function typeOf(value: Value): string {
  if (typeof value !== "object") {
    return typeof value;
  }
  return value === null ? "null" : Array.isArray(value) ? "list" : isObject(value) ? "object" : "bytes";
}

/** Whether two stored values of any type are the same. */
export function sameValue(one: Value, other: Value): boolean {
  return one === other || encoded(one) === encoded(other);
}

function encoded(value: Value): string {
  return JSON.stringify(convexToJson(value));
}

/** Compare by code point; JavaScript's own operators compare UTF-16 units. */
export function compareText(one: string, other: string): number {
  const length = Math.min(one.length, other.length);
  for (let position = 0; position < length; position++) {
    const difference = rank(one.charCodeAt(position)) - rank(other.charCodeAt(position));
    if (difference !== 0) {
      return difference;
    }
  }
  return one.length - other.length;
}

/** The rank of a UTF-16 unit; surrogates encode code points greater than any single unit. */
function rank(unit: number): number {
  return unit >= FIRST_SURROGATE && unit <= LAST_SURROGATE ? unit + 0x10000 : unit;
}

/** Whether two JSON values are the same; an integer equals a float of the same value. */
export function sameJson(one: Value, other: Value): boolean {
  if (Array.isArray(one) || Array.isArray(other)) {
    return Array.isArray(one) && Array.isArray(other) && sameList(one, other);
  }
  if (isObject(one) || isObject(other)) {
    return isObject(one) && isObject(other) && sameObject(one, other);
  }
  return sameScalar(one, other);
}

function sameList(one: Value[], other: Value[]): boolean {
  return one.length === other.length && one.every((value, position) => sameJson(value, other[position]));
}

function sameObject(one: Record<string, Value>, other: Record<string, Value>): boolean {
  const keys = Object.keys(one);
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && sameJson(one[key], other[key]))
  );
}

function sameScalar(one: Value, other: Value): boolean {
  if (isNumeric(one) && isNumeric(other)) {
    // The loose operator compares a bigint with a number by value.
    return one == other || (Number.isNaN(one) && Number.isNaN(other));
  }
  return sameValue(one, other);
}

function isNumeric(value: Value): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

export function isContainer(value: Value): boolean {
  return Array.isArray(value) || isObject(value);
}

export function isObject(value: Value): value is Record<string, Value> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof ArrayBuffer);
}

/** The value with -0 replaced by 0, as SQL has only one zero; Convex's indexes would sort -0 before 0. */
export function canonical<V extends Value>(value: V): V {
  return (Object.is(value, -0) ? 0 : value) as V;
}
