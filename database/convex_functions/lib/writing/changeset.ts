import type { Document } from "../database";
import { refuse } from "../errors";
import { tableNamed } from "../metadata";
import type { Row } from "../types";

/** One change of one record, in the order of a transaction's operations. */
export interface Step {
  kind: "insert" | "update" | "delete";
  table: string;
  id: string;
  /** The whole row; null for a delete. */
  row: Row | null;
}

/** What the steps of a transaction make of one record. */
export interface Change {
  table: string;
  id: string;
  /** The record before the transaction. */
  before: Document | null;
  /** The row after it. */
  after: Row | null;
  /** The last step that was about the record. */
  step: number;
}

/** The records that a transaction has read, by `recordKey`; null where there was none. */
export type Records = Map<string, Document | null>;

/** A key for the record of a table. */
export function recordKey(table: string, id: string): string {
  return JSON.stringify([table, id]);
}

/**
 * What the steps make of each record, in order of the last step about it.
 *
 * Refused are undeclared tables, inserts of a record that is there, and updates and deletes of one that is not.
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
    refuse({ code: "UNIQUE", table, columns: ["id"], step });
  }
  if (kind !== "insert" && current === null) {
    refuse({ code: "STALE", table, id });
  }
}
