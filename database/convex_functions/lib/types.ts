import type { Value } from "convex/values";

export type Kind = "text" | "integer" | "number" | "boolean" | "timestamp" | "json";

/** A record with its declared columns only, all of them present. */
export type Row = Record<string, Value>;

/** One declared table. */
export interface Table {
  columns: Record<string, { kind: Kind; nullable: boolean }>;
  /** Sets of columns that no two records have in common; the id is one of them. */
  unique: string[][];
  /** The table that a column refers to, by column. */
  references: Record<string, string>;
  /** The columns of an index, by its name. */
  indexes: Record<string, string[]>;
}
