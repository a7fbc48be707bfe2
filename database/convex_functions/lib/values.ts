import type { Value } from "convex/values";

/** Values that have an order: those of all kinds but JSON. */
export type Scalar = string | number | bigint | boolean;

const FIRST_SURROGATE = 0xd800;
const LAST_SURROGATE = 0xdfff;

/** Negative, zero or positive as `one` comes before, equals or comes after `other`; both are of one kind. */
export function compareScalars(one: Scalar, other: Scalar): number {
  if (typeof one === "string" && typeof other === "string") {
    return compareText(one, other);
  }
  return one < other ? -1 : one > other ? 1 : 0;
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
    return one == other;
  }
  return one === other;
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
