import type { Filter } from "./filters";
import { canonical, compareScalars, type Scalar } from "../values";

/** Inclusive bounds of the values of a column. */
export interface Bounds {
  low?: Scalar;
  high?: Scalar;
}

/** The values of which a column must have one for the filter to be true; null if the filter does not restrict it. */
export function pointsOf(where: Filter, column: string): Scalar[] | null {
  switch (where.op) {
    case "eq":
      return where.column === column ? [canonical(where.value)] : null;
    case "in":
      return where.column === column ? where.values.map(canonical) : null;
    case "and":
      return fewest(where.parts.map((part) => pointsOf(part, column)));
    case "or":
      return union(where.parts.map((part) => pointsOf(part, column)));
    default:
      return null;
  }
}

/** Bounds of the column's values for which the filter can be true. */
export function boundsOf(where: Filter, column: string): Bounds {
  switch (where.op) {
    case "gt":
    case "gte":
      return where.column === column ? { low: canonical(where.value) } : {};
    case "lt":
    case "lte":
      return where.column === column ? { high: canonical(where.value) } : {};
    case "eq":
    case "in":
      return hull((pointsOf(where, column) ?? []).map((point) => ({ low: point, high: point })));
    case "and":
      return where.parts.map((part) => boundsOf(part, column)).reduce(tighter, {});
    case "or":
      return hull(where.parts.map((part) => boundsOf(part, column)));
    default:
      return {};
  }
}

function fewest(candidates: (Scalar[] | null)[]): Scalar[] | null {
  const restricting = candidates.filter((points) => points !== null);
  return restricting.length === 0 ? null : restricting.reduce((best, one) => (one.length < best.length ? one : best));
}

function union(alternatives: (Scalar[] | null)[]): Scalar[] | null {
  return alternatives.every((points) => points !== null) ? alternatives.flat() : null;
}

function tighter(one: Bounds, other: Bounds): Bounds {
  return { low: highest(one.low, other.low), high: lowest(one.high, other.high) };
}

/** The bounds that enclose all alternatives. */
function hull(alternatives: Bounds[]): Bounds {
  const lows = alternatives.map(({ low }) => low);
  const highs = alternatives.map(({ high }) => high);
  return {
    low: lows.includes(undefined) ? undefined : lows.reduce(lowest, undefined),
    high: highs.includes(undefined) ? undefined : highs.reduce(highest, undefined),
  };
}

/** The lower of two values; if one is undefined, the other. */
function lowest(one: Scalar | undefined, other: Scalar | undefined): Scalar | undefined {
  return one === undefined || (other !== undefined && compareScalars(other, one) < 0) ? other : one;
}

function highest(one: Scalar | undefined, other: Scalar | undefined): Scalar | undefined {
  return one === undefined || (other !== undefined && compareScalars(other, one) > 0) ? other : one;
}
