import { convexToJson, jsonToConvex, type Value } from "convex/values";
import { type Document, inIndex, type Range, type Reader } from "../database";
import type { Plan } from "./plan";
import { compareScalars, type Scalar } from "../values";

/** The position at which reading stopped: the last record's values in the columns of the plan's index. */
export interface Position {
  value: Value;
  rest: Value[];
}

/** Number of keys looked up concurrently; their records together must not exceed what a function may read. */
const TOGETHER = 8;

/** The records of a plan after a position, in the order of the plan's index. */
export async function* documents(
  db: Reader,
  tableName: string,
  plan: Plan,
  position: Position | null,
): AsyncGenerator<Document> {
  const ranges = rangesOf(plan, position);
  if (plan.points === null || plan.rest.length > 0) {
    for (const range of ranges) {
      yield* inIndex(db, tableName, plan.index, range, plan.descending);
    }
    return;
  }
  for (let start = 0; start < ranges.length; start += TOGETHER) {
    const some = ranges.slice(start, start + TOGETHER);
    const found = await Promise.all(some.map((range) => inIndex(db, tableName, plan.index, range).first()));
    yield* found.filter((document) => document !== null);
  }
}

/** The position of a record. A missing value counts as null, which sorts directly after it. */
export function positionOf(plan: Plan, document: Document): Position {
  return { value: document[plan.column] ?? null, rest: plan.rest.map((column) => document[column] ?? null) };
}

/** A position as opaque text. */
export function encodedPosition({ value, rest }: Position): string {
  return JSON.stringify([value, ...rest].map((part) => convexToJson(part)));
}

/** The inverse of `encodedPosition`. */
export function decodedPosition(text: string): Position {
  const [value, ...rest] = JSON.parse(text).map(jsonToConvex);
  return { value, rest };
}

/** The ranges of the index that remain to be read, in reading order. */
function rangesOf(plan: Plan, position: Position | null): Range[] {
  if (plan.points !== null) {
    return remaining(plan, position).flatMap((point) => lookupRanges(plan, point, position));
  }
  const rest = position === null ? [] : lookupRanges(plan, position.value, position);
  return [...(plan.rest.length === 0 ? [] : rest), scanRange(plan, position)];
}

/** The values that remain to be looked up, including the position's own unless it is a whole key. */
function remaining(plan: Plan, position: Position | null): Scalar[] {
  const points = plan.points ?? [];
  const ordered = plan.descending ? [...points].reverse() : points;
  if (position === null) {
    return ordered;
  }
  const sign = plan.descending ? -1 : 1;
  const least = plan.rest.length === 0 ? 1 : 0;
  return ordered.filter((point) => Math.sign(compareScalars(point, position.value as Scalar)) * sign >= least);
}

/** The ranges for one value of the plan's column, after the position if that has the same value. */
function lookupRanges(plan: Plan, value: Value, position: Position | null): Range[] {
  const lookup: Range = [["eq", plan.column, value]];
  if (position === null || position.value !== value) {
    return [lookup];
  }
  const same: Range = plan.rest.map((column, place) => ["eq", column, position.rest[place]]);
  // What differs in the last column only comes first.
  return plan.rest
    .map((column, place): Range => [...lookup, ...same.slice(0, place), [beyond(plan), column, position.rest[place]]])
    .reverse();
}

/** The range within the plan's bounds after the position's value. */
function scanRange({ column, bounds, ...plan }: Plan, position: Position | null): Range {
  const low: Range[0] | null = bounds.low === undefined ? null : ["gte", column, bounds.low];
  const high: Range[0] | null = bounds.high === undefined ? null : ["lte", column, bounds.high];
  const behind: Range[0] | null = position === null ? null : [beyond(plan), column, position.value];
  const range = plan.descending ? [low, behind ?? high] : [behind ?? low, high];
  return range.filter((step) => step !== null);
}

function beyond({ descending }: Pick<Plan, "descending">): "gt" | "lt" {
  return descending ? "lt" : "gt";
}
