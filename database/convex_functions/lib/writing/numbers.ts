import { inIndex, type Writer } from "../database";
import { refuse } from "../errors";
import { indexOver, keyOf, tableNamed } from "../metadata";

const COUNTERS = "isthmusNumbers";
const LARGEST = 2n ** 63n - 1n;

/**
 * Take `count` numbers for the keys of new records: the first of them. All are greater than any that was taken before,
 * and than any key in the table, whoever wrote it. Those of a transaction that is rolled back are not taken.
 */
export async function takeNumbers(db: Writer, tableName: string, count: number): Promise<bigint> {
  const table = tableNamed(tableName);
  if (!table.numbered) {
    return refuse({ code: "INVALID", message: `the records of table ${tableName} are not numbered` });
  }
  const counter = await inIndex(db, COUNTERS, "by_table", [["eq", "table", tableName]]).first();
  const taken: bigint = counter?.last ?? 0n;
  const [key] = keyOf(table);
  // Only what is behind the counter is read, where others write nothing but given keys: a commit of taken numbers does
  // not conflict.
  const greatest = await inIndex(db, tableName, indexOver(table, [key]), [["gt", key, taken]], true).first();
  const before: bigint = greatest === null ? taken : greatest[key];
  const last = before + BigInt(count);
  if (last > LARGEST) {
    return refuse({ code: "LIMIT", message: `the numbers of table ${tableName} are used up; give the keys` });
  }
  await (counter === null ? db.insert(COUNTERS, { table: tableName, last }) : db.patch(counter._id, { last }));
  return before + 1n;
}
