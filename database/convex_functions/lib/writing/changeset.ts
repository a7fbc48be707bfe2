import type { Document } from "../database";
import { refuse } from "../errors";
import { keyOf, tableNamed } from "../metadata";
import type { Row } from "../types";

/** One change of one record, as one operation of a transaction made it. */
export interface Step {
  kind: "insert" | "update" | "delete";
  table: string;
  id: string;
  /** The whole row; null for a delete. */
  row: Row | null;
}

/** The net effect of a transaction's steps on one record. */
export interface Change {
  table: string;
  id: string;
  /** The record before the transaction. */
  before: Document | null;
  /** The row after it. */
  after: Row | null;
  /** The index of the last step on the record. */
  step: number;
}

/** The records that a transaction has read, by `recordKey`; null for a record that does not exist. */
export type Records = Map<string, Document | null>;

/** A key that identifies a record of a table. */
export function recordKey(table: string, id: string): string {
  return JSON.stringify([table, id]);
}

/**
 * The net change of each record, in the order of their last steps.
 *
 * Refuses undeclared tables, inserts of existing records, and updates and deletes of missing ones.
 */
export function netChanges(steps: Step[], records: Records): Change[] {
  const changes = new Map<string, Change>();
  steps.forEach((step, position) => {
    tableNamed(step.table);
    const key = recordKey(step.table, step.id);
    const before = records.get(key) ?? null;
    checkPresence(step, position, changes.has(key) ? changes.get(key)!.after : before);
    changes.delete(key);
    changes.set(key, { table: step.table, id: step.id, before, after: step.row, step: position });
  });
  return [...changes.values()];
}

function checkPresence({ kind, table, id }: Step, step: number, current: Row | null): void {
  if (kind === "insert" && current !== null) {
    refuse({ code: "UNIQUE", table, columns: keyOf(tableNamed(table)), step });
  }
  if (kind !== "insert" && current === null) {
    refuse({ code: "STALE", table, id });
  }
}
