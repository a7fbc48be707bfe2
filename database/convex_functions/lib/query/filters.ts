import type { Value } from "convex/values";
import { containment } from "./containment";
import { kindOf } from "../metadata";
import type { Kind, Row } from "../types";
import { foldAscii, matcher } from "./patterns";
import { compareScalars, type Scalar } from "../values";

export type Comparison = "eq" | "neq" | "gt" | "gte" | "lt" | "lte";

/** A condition on a row. `and` with no parts is true, `or` with no parts false. */
export type Filter =
  | { op: "and" | "or"; parts: Filter[] }
  | { op: "not"; part: Filter }
  | { op: Comparison; column: string; value: Scalar }
  | { op: "in"; column: string; values: Scalar[] }
  | { op: "is_null"; column: string; value: boolean }
  | { op: "like" | "ilike"; column: string; value: string }
  | { op: "contains"; column: string; value: Value }
  | { op: "contained_by"; column: string; value: string };

/** True, false, or null for unknown, as in SQL's three-valued logic. */
export type Truth = boolean | null;

type Evaluator = (row: Row) => Truth;

const HOLDS: Record<Comparison, (order: number) => boolean> = {
  eq: (order) => order === 0,
  neq: (order) => order !== 0,
  gt: (order) => order > 0,
  gte: (order) => order >= 0,
  lt: (order) => order < 0,
  lte: (order) => order <= 0,
};

/** A predicate for the rows that a filter selects; reusable for many rows. */
export function selector(tableName: string, where: Filter | null): (row: Row) => boolean {
  if (where === null) {
    return () => true;
  }
  const evaluate = evaluator(tableName, where);
  return (row) => evaluate(row) === true;
}

/** A function that evaluates a filter for a row. */
export function evaluator(tableName: string, where: Filter): Evaluator {
  switch (where.op) {
    case "and":
      return conjunction(where.parts.map((part) => evaluator(tableName, part)));
    case "or":
      return negation(conjunction(where.parts.map((part) => negation(evaluator(tableName, part)))));
    case "not":
      return negation(evaluator(tableName, where.part));
    case "is_null":
      kindOf(tableName, where.column);
      return (row) => (row[where.column] === null) === where.value;
    case "in":
      return membership(tableName, where.column, where.values);
    default:
      return known(where.column, condition(where, kindOf(tableName, where.column)));
  }
}

type Condition = Exclude<Filter, { op: "and" | "or" | "not" | "in" | "is_null" }>;

/** A test of a non-null value. */
function condition(where: Condition, kind: Kind): (value: Value) => boolean {
  switch (where.op) {
    case "like": {
      const matches = matcher(where.value);
      return (value) => typeof value === "string" && matches(value);
    }
    case "ilike": {
      const matches = matcher(foldAscii(where.value));
      return (value) => typeof value === "string" && matches(foldAscii(value));
    }
    case "contained_by": {
      const allowed = itemsOf(where.value);
      return ofItems((items) => items.every((item) => allowed.includes(item)));
    }
    case "contains":
      if (kind === "array") {
        const wanted = itemsOf(where.value as string);
        return ofItems((items) => wanted.every((item) => items.includes(item)));
      }
      return kind === "json" ? containment(where.value) : includes(where.value as string);
    default: {
      const holds = HOLDS[where.op];
      return (value) => holds(compareScalars(value as Scalar, where.value));
    }
  }
}

/** A test of the items of a list, which is stored as JSON text with one spelling for each item. */
function ofItems(test: (items: string[]) => boolean): (value: Value) => boolean {
  return (value) => typeof value === "string" && test(itemsOf(value));
}

/** The items of a list as they are spelled: parsing would round integers. */
function itemsOf(list: string): string[] {
  return list.match(/"(?:[^"\\]|\\.)*"|[^\s",[\]]+/g) ?? [];
}

/** A test for text that contains `part`; another program may have written a value that is not text. */
function includes(part: string): (value: Value) => boolean {
  return (value) => typeof value === "string" && value.includes(part);
}

/** A test for membership; with no values it is false even for null. */
function membership(tableName: string, column: string, values: Scalar[]): Evaluator {
  kindOf(tableName, column);
  const members = new Set<Value>(values);
  return members.size === 0 ? () => false : known(column, (value) => members.has(value));
}

function known(column: string, test: (value: Value) => boolean): Evaluator {
  return (row) => (row[column] === null ? null : test(row[column]));
}

function conjunction(parts: Evaluator[]): Evaluator {
  return (row) => {
    let result: Truth = true;
    for (const part of parts) {
      const truth = part(row);
      if (truth === false) {
        return false;
      }
      result = truth === null ? null : result;
    }
    return result;
  };
}

function negation(part: Evaluator): Evaluator {
  return (row) => {
    const truth = part(row);
    return truth === null ? null : !truth;
  };
}
