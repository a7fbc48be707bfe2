import type { Budget } from "./budget";
import type { Reader } from "../database";
import { type Filter, selector } from "./filters";
import { rowOf, tableNamed } from "../metadata";
import type { Row } from "../types";
import { comparator, type Order } from "./order";
import { type Plan, planned } from "./plan";
import { decodedPosition, documents, encodedPosition, positionOf } from "./scan";

/** A query for records; `limit` null means all. */
export interface Query {
  table: string;
  where: Filter | null;
  order: Order;
  limit: number | null;
}

export interface Options {
  /** Read all matching records, even beyond the limit. */
  count: boolean;
  /** The position at which an earlier call stopped. */
  after: string | null;
  budget: Budget;
}

/** The result of one call. */
export interface Found {
  rows: Row[];
  /** The number of matching records, including those beyond the limit if `count` is set. */
  total: number;
  /** The position at which reading stopped because the budget was spent; null if no records remain. */
  next: string | null;
}

/** Read the rows of a query, sorted and cut to the limit. */
export async function select(db: Reader, query: Query, options: Options): Promise<Found> {
  const { table, where, order, limit } = query;
  const plan = planned(tableNamed(table), where, order);
  const found = await read(db, query, plan, options);
  const rows = plan.ordered ? found.rows : found.rows.sort(comparator(table, order));
  return { ...found, rows: limit === null ? rows : rows.slice(0, limit) };
}

/** Read rows in the order of the plan until there are enough or the budget is spent. */
async function read(db: Reader, query: Query, plan: Plan, { count, after, budget }: Options): Promise<Found> {
  const table = tableNamed(query.table);
  const matches = selector(query.table, query.where);
  const enough = enoughRows(query, plan, count);
  const rows: Row[] = [];
  const start = after === null ? null : decodedPosition(after);
  for await (const document of enough === 0 ? [] : documents(db, query.table, plan, start)) {
    budget.spend(document);
    const row = rowOf(table, document);
    if (matches(row)) {
      rows.push(row);
    }
    if (rows.length === enough) {
      break;
    }
    if (budget.spent) {
      return { rows, total: rows.length, next: encodedPosition(positionOf(plan, document)) };
    }
  }
  return { rows, total: rows.length, next: null };
}

/** The number of rows after which reading can stop. */
function enoughRows({ limit }: Query, plan: Plan, count: boolean): number | null {
  return !count && (plan.ordered || limit === 0) ? limit : null;
}
