import { inBatches } from "./batches";
import { inIndex, type Range, type Reader, type Writer } from "../database";
import { INTERNAL_TABLES } from "../internal_tables";

const LOG = "isthmusChanges";

/** A change of one record. */
export interface LoggedChange {
  table: string;
  id: string;
  op: "insert" | "update" | "delete";
}

/** The position of a change in the log: the time of its commit in nanoseconds, and its index in that commit. */
export interface Cursor {
  rev: bigint;
  seq: bigint;
}

/** One entry of the change log. */
export interface Entry extends Cursor, LoggedChange {
  actor: string | null;
}

/**
 * Log changes in the transaction that makes them; they share one `rev` and have consecutive `seq`.
 *
 * Those of internal tables are not logged, as on every backend: nobody follows them.
 */
export async function logChanges(db: Writer, steps: LoggedChange[], actor: string | null): Promise<void> {
  const changes = steps.filter(({ table }) => !Object.hasOwn(INTERNAL_TABLES, table));
  if (changes.length === 0) {
    return;
  }
  const rev = db.vars.commitTs;
  const last = await inIndex(db, LOG, "by_rev", [["eq", "rev", rev]], true).first();
  const first = last === null ? 0n : last.seq + 1n;
  await inBatches(changes, ({ table, id, op }, position) =>
    db.insert(LOG, { rev, seq: first + BigInt(position), table, id, op, actor }),
  );
}

/** At most `limit` entries after the cursor, in commit order. */
export async function changesAfter(db: Reader, { rev, seq }: Cursor, limit: number): Promise<Entry[]> {
  const restOfCommit: Range = [
    ["eq", "rev", rev],
    ["gt", "seq", seq],
  ];
  const sameCommit = await entries(db, restOfCommit, limit);
  const later = await entries(db, [["gt", "rev", rev]], limit - sameCommit.length);
  return [...sameCommit, ...later];
}

async function entries(db: Reader, range: Range, limit: number): Promise<Entry[]> {
  const documents = limit > 0 ? await inIndex(db, LOG, "by_rev", range).take(limit) : [];
  return documents.map(({ rev, seq, table, id, op, actor }) => ({ rev, seq, table, id, op, actor }));
}
