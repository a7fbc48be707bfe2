import type { GenericDatabaseReader, GenericDatabaseWriter, GenericMutationCtx } from "convex/server";
import type { Value } from "convex/values";
import { keyAt } from "./keys";
import { indexOver, keyOf, tableNamed } from "./metadata";
import type { Row } from "./types";

// The functions serve all declared tables, so that a table's name and type are known only at run time.

/** A record as Convex stores it. */
export type Document = Row & { _id: any };

interface Tables {
  [table: string]: {
    document: any;
    fieldPaths: string;
    indexes: Record<string, string[]>;
    searchIndexes: {};
    vectorIndexes: {};
  };
}

export type Reader = GenericDatabaseReader<Tables>;
export type Writer = GenericDatabaseWriter<Tables>;
export type MutationContext = GenericMutationCtx<Tables>;

/** A range of an index: equality for some leading columns, and optional bounds for the next column. */
export type Range = Bound[];
type Bound = ["eq" | "gt" | "gte" | "lt" | "lte", column: string, value: unknown];

/** The records in a range of an index, in its order. */
export function inIndex(db: Reader, table: string, index: string, range: Range, descending = false) {
  return db
    .query(table)
    .withIndex(index, (builder) => restricted(builder, range))
    .order(descending ? "desc" : "asc");
}

/** Applies a range to Convex's range builder, whose type changes with each bound. */
function restricted(builder: any, range: Range): any {
  return range.reduce((narrowed, [operator, column, value]) => narrowed[operator](column, value), builder);
}

/** The record that an address names, or null. */
export async function recordAt(db: Reader, table: string, address: string): Promise<Document | null> {
  const key = keyAt(tableNamed(table), address);
  return key === null ? null : await recordWithKey(db, table, key);
}

/** The record whose key has these values, or null. */
export async function recordWithKey(db: Reader, tableName: string, key: Value[]): Promise<Document | null> {
  const table = tableNamed(tableName);
  const columns = keyOf(table);
  const range: Range = columns.map((column, position) => ["eq", column, key[position]]);
  return await inIndex(db, tableName, indexOver(table, columns), range).first();
}
