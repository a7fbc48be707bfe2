import type { Value } from "convex/values";
import { inBatches } from "./batches";
import type { Change } from "./changeset";
import { inIndex, type Range, type Reader, recordAt, recordWithKey } from "../database";
import { type Refusal, refuse } from "../errors";
import { indexOver, keyOf, type Referrer, referrersOf, tableNamed } from "../metadata";
import type { Row } from "../types";

/** Checks one constraint; returns the refusal if it is violated. */
type Check = () => Promise<Refusal | null>;

/**
 * Refuse a transaction whose written changes violate a constraint; the refusal names the first such change.
 * Also refuses if the check would take more look-ups than remain.
 */
export async function checkConstraints(db: Reader, changes: Change[], lookupsLeft: number): Promise<void> {
  const checks = changes.flatMap((change) => checksOf(db, change));
  if (checks.length > lookupsLeft) {
    refuse({ code: "LIMIT", message: "checking the constraints of the changes takes too many look-ups" });
  }
  const refusals = await inBatches(checks, (check) => check());
  const first = refusals.find((refusal) => refusal !== null);
  if (first !== undefined) {
    refuse(first);
  }
}

function checksOf(db: Reader, change: Change): Check[] {
  const { table: name, before, after } = change;
  if (after === null) {
    return before === null
      ? [() => checkAbsent(db, change)]
      : referrersOf(name).map((referrer) => () => checkReferrer(db, before[keyOf(tableNamed(name))[0]], referrer));
  }
  const { unique, references } = tableNamed(name);
  const toCheck = (columns: string[]) =>
    differ(columns, before, after) && columns.every((column) => after[column] !== null);
  return [
    ...unique.filter(toCheck).map((columns) => () => checkUnique(db, change, columns, after)),
    ...Object.entries(references)
      .filter(([column]) => toCheck([column]))
      .map(
        ([column, parent]) =>
          () =>
            checkReference(db, change, column, parent, after[column]),
      ),
  ];
}

/** Whether a constraint must be checked: it still holds if none of its columns has changed. */
function differ(columns: string[], before: Row | null, after: Row): boolean {
  return before === null || columns.some((column) => before[column] !== after[column]);
}

/** A record that is inserted and then deleted must not have existed before. */
async function checkAbsent(db: Reader, { table, id, step }: Change): Promise<Refusal | null> {
  const columns = keyOf(tableNamed(table));
  return (await recordAt(db, table, id)) === null ? null : { code: "UNIQUE", table, columns, step };
}

async function checkUnique(db: Reader, { table, step }: Change, columns: string[], row: Row): Promise<Refusal | null> {
  const range: Range = columns.map((column) => ["eq", column, row[column]]);
  const same = await inIndex(db, table, indexOver(tableNamed(table), columns), range).take(2);
  return same.length > 1 ? { code: "UNIQUE", table, columns, step } : null;
}

async function checkReference(
  db: Reader,
  { table, step }: Change,
  column: string,
  parentTable: string,
  parentId: Value,
): Promise<Refusal | null> {
  const parent = await recordWithKey(db, parentTable, [parentId]);
  return parent === null ? { code: "FOREIGN_KEY", table, column, step } : null;
}

async function checkReferrer(db: Reader, id: Value, { table, column }: Referrer): Promise<Refusal | null> {
  const index = indexOver(tableNamed(table), [column]);
  const child = await inIndex(db, table, index, [["eq", column, id]]).first();
  return child !== null ? { code: "REFERENCED", table, column } : null;
}
