import type { Value } from "convex/values";

export type Kind = "text" | "integer" | "number" | "boolean" | "timestamp" | "json";

/** A record with its declared columns only, all of them present. */
export type Row = Record<string, Value>;

/** What the access rules of a table are about. */
export type Action = "read" | "write" | "delete";

/** One declared table. */
export interface Table {
  /** `was` is the former name of a renamed column, under which documents may still have it. */
  columns: Record<string, { kind: Kind; nullable: boolean; was?: string }>;
  /** Sets of columns that no two records have in common; the id is one of them. */
  unique: string[][];
  /** For whom each action is: `anyone`, `user`, `owner`, `role:<name>`, `permission:<area>:<action>`. */
  access: Record<Action, string[]>;
  /** The column that says whose a record is. */
  owner: string | null;
  /** The table that a column refers to, by column. */
  references: Record<string, string>;
  /** The columns of an index, by its name. */
  indexes: Record<string, string[]>;
}
