import { convexToJson, jsonToConvex, type Value } from "convex/values";
import { type Document, inIndex, type Range, type Reader } from "../database";
import type { Plan } from "./plan";
import { compareScalars, type Scalar } from "../values";

/** The position at which reading stopped: the last record's value in the plan's column, and its id. */
export interface Position {
  value: Value;
  id: string;
}

/** Number of ids looked up concurrently; their records together must not exceed what a function may read. */
const TOGETHER = 8;

/** The records of a plan after a position, in the order of the plan's index. */
export async function* documents(
  db: Reader,
  tableName: string,
  plan: Plan,
  position: Position | null,
): AsyncGenerator<Document> {
  const ranges = rangesOf(plan, position);
  if (plan.points === null || plan.column !== "id") {
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
  return { value: document[plan.column] ?? null, id: document.id as string };
}

/** A position as opaque text. */
export function encodedPosition({ value, id }: Position): string {
  return JSON.stringify([convexToJson(value), id]);
}

/** The inverse of `encodedPosition`. */
export function decodedPosition(text: string): Position {
  const [value, id] = JSON.parse(text);
  return { value: jsonToConvex(value), id };
}

/** The ranges of the index that remain to be read, in reading order. */
function rangesOf(plan: Plan, position: Position | null): Range[] {
  if (plan.points !== null) {
    return remaining(plan, position).map((point) => lookupRange(plan, point, position));
  }
  if (position === null || plan.column === "id") {
    return [scanRange(plan, position)];
  }
  return [lookupRange(plan, position.value, position), scanRange(plan, position)];
}

/** The values that remain to be looked up, including the position's own unless it is an id. */
function remaining(plan: Plan, position: Position | null): Scalar[] {
  const points = plan.points ?? [];
  const ordered = plan.descending ? [...points].reverse() : points;
  if (position === null) {
    return ordered;
  }
  const sign = plan.descending ? -1 : 1;
  const least = plan.column === "id" ? 1 : 0;
  return ordered.filter((point) => Math.sign(compareScalars(point, position.value as Scalar)) * sign >= least);
}

/** The range for one value of the plan's column, after the position if that has the same value. */
function lookupRange(plan: Plan, value: Value, position: Position | null): Range {
  const lookup: Range = [["eq", plan.column, value]];
  return position === null || position.value !== value ? lookup : [...lookup, [beyond(plan), "id", position.id]];
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
