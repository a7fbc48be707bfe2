import type { GenericDatabaseReader, GenericDatabaseWriter, GenericMutationCtx } from "convex/server";
import type { Value } from "convex/values";
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

/** The record with the given id, or null. */
export async function recordById(db: Reader, table: string, id: Value): Promise<Document | null> {
  return await inIndex(db, table, "on_id", [["eq", "id", id]]).first();
}
