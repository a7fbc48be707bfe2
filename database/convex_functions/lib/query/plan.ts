import { type Bounds, boundsOf, pointsOf } from "./bounds";
import type { Filter } from "./filters";
import { indexOn } from "../metadata";
import type { Table } from "../types";
import type { Order } from "./order";
import { compareScalars, type Scalar } from "../values";

/** How to read the records that may match: along one index, in its order. */
export interface Plan {
  index: string;
  /** The index's first column; if it is not the id, the id is the second. */
  column: string;
  /** The values of the column to look up, in order; null reads all records within the bounds. */
  points: Scalar[] | null;
  bounds: Bounds;
  descending: boolean;
  /** Whether the records are read in the requested order. */
  ordered: boolean;
}

/**
 * Choose a plan, in this order of preference: look up ids, look up values of another indexed column, scan the index
 * with the requested order, scan by id.
 */
export function planned(table: Table, where: Filter | null, order: Order): Plan {
  return lookups(table, where, order) ?? orderedScan(table, where, order) ?? scanById(where, order);
}

function lookups(table: Table, where: Filter | null, order: Order): Plan | null {
  if (where === null) {
    return null;
  }
  for (const column of ["id", ...Object.keys(table.columns)]) {
    const index = indexOn(table, column);
    const points = index === undefined ? null : pointsOf(where, column);
    if (index !== undefined && points !== null) {
      return { index, column, points: sorted(points), bounds: {}, ...direction(order, column, points.length < 2) };
    }
  }
  return null;
}

function sorted(points: Scalar[]): Scalar[] {
  return [...new Set(points)].sort(compareScalars);
}

/** Whether reading an index yields the requested order by id, and its direction; `single`: a look-up of one value. */
function direction(order: Order, column: string, single: boolean): Pick<Plan, "descending" | "ordered"> {
  const ordered = order[0].column === "id" && (column === "id" || single);
  return { ordered, descending: ordered && order[0].descending };
}

/** A scan of an index on the first sort key, if it has no nulls, which Convex sorts first and stores in two forms. */
function orderedScan(table: Table, where: Filter | null, order: Order): Plan | null {
  const [{ column, descending }, second] = order;
  const index = indexOn(table, column);
  if (column === "id" || index === undefined || second.column !== "id" || second.descending !== descending) {
    return null;
  }
  const plan = scan(index, column, where);
  const withoutNulls = !table.columns[column].nullable || plan.bounds.low !== undefined;
  return withoutNulls ? { ...plan, descending, ordered: true } : null;
}

function scanById(where: Filter | null, order: Order): Plan {
  return { ...scan("on_id", "id", where), ...direction(order, "id", true) };
}

function scan(
  index: string,
  column: string,
  where: Filter | null,
): Pick<Plan, "index" | "column" | "points" | "bounds"> {
  return { index, column, points: null, bounds: where === null ? {} : boundsOf(where, column) };
}
