import { Budget } from "../query/budget";
import { inIndex, type Writer } from "../database";

const CHUNK = { records: 500, bytes: 4 * 1024 * 1024 };

/** Delete some of the answers and log entries up to a moment, in nanoseconds; whether more of them are left. */
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
