import type { Value } from "convex/values";

export type Kind = "text" | "integer" | "number" | "boolean" | "timestamp" | "json" | "array";

/** A record with exactly its declared columns. */
export type Row = Record<string, Value>;

/** An action that the access rules of a table control. */
export type Action = "read" | "write" | "delete";

/** One declared table. */
export interface Table {
  /** `was` is the former name of a renamed column, under which older documents store it. */
  columns: Record<string, { kind: Kind; nullable: boolean; was?: string }>;
  /** Sets of columns whose values are unique together; the first is the table's key. */
  unique: string[][];
  /** Whether the key is a number that is made for each new record, unless it is given. */
  numbered?: true;
  /** Who may do each action: `anyone`, `user`, `owner`, `role:<name>`, `permission:<area>:<action>`. */
  access: Record<Action, string[]>;
  /** The column that contains the subject of a record's owner. */
  owner: string | null;
  /** Maps a column to the table that it refers to. */
  references: Record<string, string>;
  /** Maps the name of an index to its columns. */
  indexes: Record<string, string[]>;
}
