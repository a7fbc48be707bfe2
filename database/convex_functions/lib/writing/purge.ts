import { Budget } from "../query/budget";
import { inIndex, type Writer } from "../database";

const CHUNK = { records: 500, bytes: 4 * 1024 * 1024 };

/** Delete some commit results and log entries up to a time in nanoseconds; returns whether more remain. */
export async function purgeChunk(db: Writer, until: bigint): Promise<boolean> {
  const budget = new Budget(CHUNK.records, CHUNK.bytes);
  for (const table of ["isthmusCommits", "isthmusChanges"]) {
    for await (const document of inIndex(db, table, "by_rev", [["lte", "rev", until]])) {
      if (budget.spent) {
        return true;
      }
      budget.spend(document);
      await db.delete(document._id);
    }
  }
  return false;
}
