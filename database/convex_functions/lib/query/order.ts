import { keyOf, kindOf } from "../metadata";
import type { Row, Table } from "../types";
import { compareScalars, type Scalar } from "../values";

/** A sort key. */
export interface Key {
  column: string;
  descending: boolean;
  nulls_first: boolean;
}

/** Sort keys that include the table's key, so that the order is total. */
export type Order = Key[];

export function byKey(table: Table): Order {
  return keyOf(table).map((column) => ({ column, descending: false, nulls_first: false }));
}

/** A comparison of rows, for `Array.sort`. */
export function comparator(tableName: string, order: Order): (one: Row, other: Row) => number {
  order.forEach((key) => kindOf(tableName, key.column));
  return (one, other) => {
    for (const key of order) {
      const difference = compareBy(key, one, other);
      if (difference !== 0) {
        return difference;
      }
    }
    return 0;
  };
}

function compareBy(key: Key, one: Row, other: Row): number {
  const [left, right] = [one[key.column], other[key.column]];
  if (left === null || right === null) {
    const nullsLast = Number(left === null) - Number(right === null);
    return key.nulls_first ? -nullsLast : nullsLast;
  }
  const difference = compareScalars(left as Scalar, right as Scalar);
  return key.descending ? -difference : difference;
}
