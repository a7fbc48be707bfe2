import { convexToJson, type Value } from "convex/values";

/** Values that have an order: those of all kinds but JSON. */
export type Scalar = string | number | bigint | boolean;

const FIRST_SURROGATE = 0xd800;
const LAST_SURROGATE = 0xdfff;

/** The types of values as Convex' indexes sort them. Behind null come the values of columns of every kind. */
const TYPES = ["null", "bigint", "number", "boolean", "string", "bytes", "list", "object"];

/**
 * Negative, zero or positive as `one` comes before, equals or comes after `other`. They are of one kind, unless another
 * program wrote something else: that comes where Convex' indexes have it.
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
    // What is no number comes last.
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

/** Whether two stored values are the same, whatever they are. */
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

/** Surrogates stand for code points beyond all that a single unit can say. */
function rank(unit: number): number {
  return unit >= FIRST_SURROGATE && unit <= LAST_SURROGATE ? unit + 0x10000 : unit;
}

/** Whether two JSON values are the same; an integer equals a float of the same size. */
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
    // The loose operator compares an integer with a float by size.
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

/** The value with the one zero that SQL knows; in Convex's indexes the other one would come before it. */
export function canonical<V extends Value>(value: V): V {
  return (Object.is(value, -0) ? 0 : value) as V;
}
