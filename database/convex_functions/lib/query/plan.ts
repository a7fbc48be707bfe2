import { type Bounds, boundsOf, pointsOf } from "./bounds";
import type { Filter } from "./filters";
import { behind, indexOn, indexOver, keyOf } from "../metadata";
import type { Table } from "../types";
import type { Order } from "./order";
import { compareScalars, type Scalar } from "../values";

/** How to read the records that may match: along one index, in its order. */
export interface Plan {
  index: string;
  /** The index's first column. */
  column: string;
  /** Its further columns: those of the key. There are none if the column is the whole key. */
  rest: string[];
  /** The values of the column to look up, in order; null reads all records within the bounds. */
  points: Scalar[] | null;
  bounds: Bounds;
  descending: boolean;
  /** Whether the records are read in the requested order. */
  ordered: boolean;
}

/**
 * Choose a plan, in this order of preference: look up keys, look up values of another indexed column, scan the index
 * with the requested order, scan by key.
 */
export function planned(table: Table, where: Filter | null, order: Order): Plan {
  return lookups(table, where, order) ?? orderedScan(table, where, order) ?? scanByKey(table, where, order);
}

function lookups(table: Table, where: Filter | null, order: Order): Plan | null {
  if (where === null) {
    return null;
  }
  for (const column of [keyOf(table)[0], ...Object.keys(table.columns)]) {
    const index = indexOn(table, column);
    const points = index === undefined ? null : pointsOf(where, column);
    if (index !== undefined && points !== null) {
      const found = { index, column, rest: behind(table, column), points: sorted(points), bounds: {} };
      return { ...found, ...direction(table, order, column, points.length < 2) };
    }
  }
  return null;
}

function sorted(points: Scalar[]): Scalar[] {
  return [...new Set(points)].sort(compareScalars);
}

/** Whether reading an index yields the requested order by key, and its direction; `single`: a look-up of one value. */
function direction(
  table: Table,
  order: Order,
  column: string,
  single: boolean,
): Pick<Plan, "descending" | "ordered"> {
  const key = keyOf(table);
  const ordered = follows(order, key) && (column === key[0] || single);
  return { ordered, descending: ordered && order[0].descending };
}

/** Whether an order is by exactly these columns, all in one direction. */
function follows(order: Order, columns: string[]): boolean {
  return (
    order.length === columns.length &&
    order.every((one, position) => one.column === columns[position] && one.descending === order[0].descending)
  );
}

/** A scan of an index on the first sort key, if it has no nulls, which Convex sorts first and stores in two forms. */
function orderedScan(table: Table, where: Filter | null, order: Order): Plan | null {
  const [{ column, descending }] = order;
  const index = indexOn(table, column);
  if (column === keyOf(table)[0] || index === undefined || !follows(order, [column, ...behind(table, column)])) {
    return null;
  }
  const plan = scan(table, index, column, where);
  const withoutNulls = !table.columns[column].nullable || plan.bounds.low !== undefined;
  return withoutNulls ? { ...plan, descending, ordered: true } : null;
}

function scanByKey(table: Table, where: Filter | null, order: Order): Plan {
  const key = keyOf(table);
  return { ...scan(table, indexOver(table, key), key[0], where), ...direction(table, order, key[0], true) };
}

function scan(
  table: Table,
  index: string,
  column: string,
  where: Filter | null,
): Pick<Plan, "index" | "column" | "rest" | "points" | "bounds"> {
  const bounds = where === null ? {} : boundsOf(where, column);
  return { index, column, rest: behind(table, column), points: null, bounds };
}
