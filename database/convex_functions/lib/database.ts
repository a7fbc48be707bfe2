import type { GenericDatabaseReader, GenericDatabaseWriter, GenericMutationCtx } from "convex/server";
import type { Value } from "convex/values";
import type { Row } from "./types";

// The functions serve all declared tables alike, so that a table's name and type are known at run time only.

/** A record as Convex keeps it. */
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

/** A part of an index: some leading columns have one value each, and the column after them may lie within bounds. */
export type Range = Bound[];
type Bound = ["eq" | "gt" | "gte" | "lt" | "lte", column: string, value: unknown];

/** The records in a part of an index, in its order. */
export function inIndex(db: Reader, table: string, index: string, range: Range, descending = false) {
  return db
    .query(table)
    .withIndex(index, (builder) => restricted(builder, range))
    .order(descending ? "desc" : "asc");
}

/** A range in Convex's terms; the type of its builder changes with each bound. */
function restricted(builder: any, range: Range): any {
  return range.reduce((narrowed, [operator, column, value]) => narrowed[operator](column, value), builder);
}

/** The record of that id. */
export async function recordById(db: Reader, table: string, id: Value): Promise<Document | null> {
  return await inIndex(db, table, "on_id", [["eq", "id", id]]).first();
}
