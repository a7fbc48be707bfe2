import type { Value } from "convex/values";
import { keyOf } from "./metadata";
import type { Kind, Row, Table } from "./types";

// A record is named by a text that stands for the values of its key: of a key of one column the value itself, of
// several all values, joined by commas, in which `~0` stands for `~`, `~1` for `/` and `~2` for `,`.

const DIGITS = /^(0|-?[1-9][0-9]*)$/;
const LARGEST = 2n ** 63n;
const MEANT: Record<string, string> = { "0": "~", "1": "/", "2": "," };

/** The values of a key, one per column; null if no record can have it. */
export function keyAt(table: Table, address: string): Value[] | null {
  const columns = keyOf(table);
  const parts = columns.length === 1 ? [address] : address.split(",").map(unescaped);
  if (parts.length !== columns.length) {
    return null;
  }
  const values = parts.map((part, position) => valueOf(table.columns[columns[position]].kind, part));
  return values.every((value) => value !== null) ? values : null;
}

/** The text that stands for the key of a row. */
export function addressOf(table: Table, row: Row): string {
  const values = keyOf(table).map((column) => String(row[column]));
  return values.length === 1 ? values[0] : values.map(escaped).join(",");
}

function valueOf(kind: Kind, part: string | null): Value | null {
  if (kind !== "integer" || part === null) {
    return part;
  }
  const number = DIGITS.test(part) ? BigInt(part) : null;
  return number !== null && -LARGEST <= number && number < LARGEST ? number : null;
}

function escaped(text: string): string {
  return text.replaceAll("~", "~0").replaceAll("/", "~1").replaceAll(",", "~2");
}

function unescaped(part: string): string | null {
  return /~(?![012])/.test(part) ? null : part.replace(/~([012])/g, (_, character: string) => MEANT[character]);
}
