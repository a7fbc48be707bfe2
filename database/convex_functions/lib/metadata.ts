import { TABLES } from "../tables";
import { refuse } from "./errors";
import type { Kind, Row, Table } from "./types";

/** A column of another table that refers to this one. */
export interface Referrer {
  table: string;
  column: string;
}

/** The declared table with the given name; refuses any other table. */
export function tableNamed(name: string): Table {
  if (!Object.hasOwn(TABLES, name)) {
    return refuse({ code: "NO_TABLE", table: name });
  }
  return TABLES[name];
}

/** The kind of a declared column. */
export function kindOf(tableName: string, column: string): Kind {
  const { columns } = tableNamed(tableName);
  if (!Object.hasOwn(columns, column)) {
    return refuse({ code: "NO_COLUMN", table: tableName, column });
  }
  return columns[column].kind;
}

/** The columns of a table's key. */
export function keyOf(table: Table): string[] {
  return table.unique[0];
}

/** The columns of an index on the column behind it: those of the key, which make its order total. */
export function behind(table: Table, column: string): string[] {
  return keyOf(table).filter((name) => name !== column);
}

/** The name of the index on the column, if there is one. */
export function indexOn(table: Table, column: string): string | undefined {
  const wanted = [column, ...behind(table, column)];
  return Object.keys(table.indexes).find((name) =>
    wanted.every((one, position) => table.indexes[name][position] === one),
  );
}

/** The name of the index that begins with all of the columns of a unique set. */
export function indexOver(table: Table, columns: string[]): string {
  const found = Object.keys(table.indexes).find((name) =>
    columns.every((column, position) => table.indexes[name][position] === column),
  );
  if (found === undefined) {
    throw new Error(`No index over ${columns.join(", ")}.`);
  }
  return found;
}

/** Every column that refers to the table. */
export function referrersOf(tableName: string): Referrer[] {
  return Object.entries(TABLES).flatMap(([table, { references }]) =>
    Object.keys(references)
      .filter((column) => references[column] === tableName)
      .map((column) => ({ table, column })),
  );
}

/** The declared columns of a document; missing ones are null, as in documents older than the column. */
export function rowOf(table: Table, document: Row): Row {
  return Object.fromEntries(
    Object.entries(table.columns).map(([column, { was }]) => {
      const name = was !== undefined && document[column] === undefined ? was : column;
      return [column, document[name] ?? null];
    }),
  );
}

/** Adds renamed columns to a row under their former names, too, which older versions of the application expect. */
export function underBothNames(table: Table): (row: Row) => Row {
  const renames = renamesOf(table);
  if (renames.length === 0) {
    return (row) => row;
  }
  return (row) => ({ ...row, ...Object.fromEntries(renames.map(([column, was]) => [was, row[column]])) });
}

/** A row that an older version of the application may have read, with renamed columns under their present names. */
export function underPresentNames(table: Table, row: Row): Row {
  const present = new Map(renamesOf(table).map(([column, was]) => [was, column]));
  return present.size === 0
    ? row
    : Object.fromEntries(Object.entries(row).map(([name, value]) => [present.get(name) ?? name, value]));
}

function renamesOf({ columns }: Table): [column: string, was: string][] {
  return Object.entries(columns).flatMap(([column, { was }]): [string, string][] =>
    was === undefined ? [] : [[column, was]],
  );
}
