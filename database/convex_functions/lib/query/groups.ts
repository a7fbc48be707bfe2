import { convexToJson, type Value } from "convex/values";
import { kindOf } from "../metadata";
import type { Row } from "../types";

/** The distinct combinations of values in the columns, each with its number of rows as `count`. */
export function grouped(tableName: string, rows: Row[], columns: string[]): Row[] {
  columns.forEach((column) => kindOf(tableName, column));
  const groups = new Map<string, Value[]>();
  const counts = new Map<string, bigint>();
  for (const row of rows) {
    const values = columns.map((column) => row[column]);
    const key = JSON.stringify(convexToJson(values));
    groups.set(key, values);
    counts.set(key, (counts.get(key) ?? 0n) + 1n);
  }
  return Array.from(groups, ([key, values]) => ({
    ...Object.fromEntries(columns.map((column, position) => [column, values[position]])),
    count: counts.get(key) as bigint,
  }));
}
