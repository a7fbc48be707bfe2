import { type Bounds, boundsOf, pointsOf } from "./bounds";
import type { Filter } from "./filters";
import { indexOn } from "../metadata";
import type { Table } from "../types";
import type { Order } from "./order";
import { compareScalars, type Scalar } from "../values";

/** How the records that may match are read: along one index, in its order. */
export interface Plan {
  index: string;
  /** The column that the index begins with; in an index on another column than the id, the id comes second. */
  column: string;
  /** The values of the column to look up, in order; null reads all that lies within the bounds. */
  points: Scalar[] | null;
  bounds: Bounds;
  descending: boolean;
  /** Records come in the order that was asked for. */
  ordered: boolean;
}

/**
 * Choose how to read: by looking up ids, then by looking up another indexed column, then along the index that has the
 * order that was asked for, and otherwise along the ids.
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

/** Whether reading along an index gives the order by id, and in which direction; `single`: for one value only. */
function direction(order: Order, column: string, single: boolean): Pick<Plan, "descending" | "ordered"> {
  const ordered = order[0].column === "id" && (column === "id" || single);
  return { ordered, descending: ordered && order[0].descending };
}

/** An index on the first sort key, where no nulls come: Convex's indexes have them first, and in two forms. */
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
