import type { Value } from "convex/values";
import { isContainer, isObject } from "../values";

/** A test of a JSON document or of a value in it. */
type Test = (value: Value) => boolean;

/** A key that is equal for equal scalars and for containers of the same kind. */
type Key = string | bigint | number | boolean | null | symbol;

/** A necessary condition for a container to contain another one: a key with its scalar, or an element. */
type Feature = string;

type Container = Value[] | Record<string, Value>;

const LIST = Symbol("list");
const OBJECT = Symbol("object");

/**
 * A test for JSON documents that contain another as PostgreSQL's `@>` defines it: objects by key, lists by element in
 * any order, and, at the top level only, a list also contains a bare scalar. Linear in the size of the document.
 */
export function containment(part: Value): Test {
  if (isContainer(part)) {
    return within(part);
  }
  const wanted = keyOf(part);
  return (value) => (Array.isArray(value) ? value : [value]).some((element) => keyOf(element) === wanted);
}

function within(part: Value): Test {
  if (Array.isArray(part)) {
    return withinList(part);
  }
  return isObject(part) ? withinObject(part) : (value) => keyOf(value) === keyOf(part);
}

function withinObject(part: Record<string, Value>): Test {
  const members = Object.entries(part).map(([key, value]) => ({ key, test: within(value) }));
  return (value) => isObject(value) && members.every(({ key, test }) => Object.hasOwn(value, key) && test(value[key]));
}

function withinList(part: Value[]): Test {
  const scalars = new Set(part.filter((element) => !isContainer(element)).map(keyOf));
  const containers = part.filter(isContainer).map((element) => {
    return { test: within(element), features: featuresOf(element as Container) };
  });
  const wanted = new Set(containers.flatMap(({ features }) => features));
  return (value) => {
    if (!Array.isArray(value)) {
      return false;
    }
    const present = new Set(scalars.size === 0 ? [] : value.map(keyOf));
    if (![...scalars].every((scalar) => present.has(scalar))) {
      return false;
    }
    const having = containers.length === 0 ? new Map() : havingFeatures(value.filter(isContainer), wanted);
    return containers.every(({ test, features }) => rarest(features, having, value).some(test));
  };
}

/** The elements by the wanted features that they have. */
function havingFeatures(elements: Value[], wanted: Set<Feature>): Map<Feature, Value[]> {
  const having = new Map<Feature, Value[]>();
  for (const element of elements) {
    for (const feature of featuresOf(element as Container)) {
      if (wanted.has(feature)) {
        having.get(feature)?.push(element) ?? having.set(feature, [element]);
      }
    }
  }
  return having;
}

/** Candidates for elements that have all of the features: those with the rarest one; all elements without features. */
function rarest(features: Feature[], having: Map<Feature, Value[]>, elements: Value[]): Value[] {
  const candidates = features.map((feature) => having.get(feature) ?? []);
  return candidates.reduce((best, some) => (some.length < best.length ? some : best), elements);
}

function featuresOf(container: Container): Feature[] {
  if (Array.isArray(container)) {
    return container.map((element) => `element ${textOf(keyOf(element))}`);
  }
  return Object.entries(container).map(([key, value]) => `${key.length} ${key} ${textOf(keyOf(value))}`);
}

function textOf(key: Key): string {
  return `${typeof key} ${String(key)}`;
}

function keyOf(value: Value): Key {
  if (isContainer(value)) {
    return Array.isArray(value) ? LIST : OBJECT;
  }
  // An integer equals a float of the same value.
  return typeof value === "number" && Number.isInteger(value) ? BigInt(value) : (value as Key);
}
