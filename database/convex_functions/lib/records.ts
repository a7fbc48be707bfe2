import type { SystemFields } from "convex/server";
import type { Doc, TableNames } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { Budget } from "./query/budget";
import { recordKey, type Step } from "./writing/changeset";
import { applySteps } from "./writing/commit";
import { type Document, type Reader, recordAt, type Writer } from "./database";
import { refuse } from "./errors";
import type { Filter } from "./query/filters";
import { addressOf } from "./keys";
import { requireAdmin, requireCaller } from "./identity";
import { keyOf, rowOf, tableNamed } from "./metadata";
import type { Row } from "./types";
import { byKey } from "./query/order";
import { select } from "./query/select";
import { checkTexts } from "./texts";
import { takeNumbers } from "./writing/numbers";

/** A record as the application's functions return it: the declared columns. */
export type RecordOf<Name extends TableNames> = Omit<Doc<Name>, "_id" | keyof SystemFields>;

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;
const MAX_BYTES = 6 * 1024 * 1024;

/** How far ahead of the clock a stored time is believed, in milliseconds. */
const LEAP = 24 * 60 * 60 * 1_000;

// Helpers for the application's own functions, which must check access themselves: the helpers that write only require
// a signed-in caller or an administrator.

/** The first records by key, which is the order of their creation if the key is an id; at most 1,000. */
export async function listRecords<Name extends TableNames>(
  ctx: QueryCtx,
  table: Name,
  limit: number = DEFAULT_LIMIT,
  where: Filter | null = null,
): Promise<RecordOf<Name>[]> {
  const query = { table, where, order: byKey(tableNamed(table)), limit: Math.max(0, Math.min(limit, MAX_LIMIT)) };
  const budget = new Budget(MAX_LIMIT, MAX_BYTES);
  const { rows } = await select(reader(ctx), query, { count: false, after: null, budget });
  return rows as RecordOf<Name>[];
}

/** The record with the given id, or null. */
export async function getRecord<Name extends TableNames>(
  ctx: QueryCtx,
  table: Name,
  id: string,
): Promise<RecordOf<Name> | null> {
  const document = await recordAt(reader(ctx), table, id);
  return document && shown<Name>(table, document);
}

/** Create a record; requires a signed-in caller. Omitted columns are null. */
export async function createRecord<Name extends TableNames>(
  ctx: MutationCtx,
  table: Name,
  data: Partial<RecordOf<Name>>,
): Promise<RecordOf<Name>> {
  const caller = await requireCaller(ctx);
  return await insertRecord(ctx, table, data, caller.subject);
}

/** Change columns of a record; requires a signed-in caller. */
export async function updateRecord<Name extends TableNames>(
  ctx: MutationCtx,
  table: Name,
  id: string,
  data: Partial<RecordOf<Name>>,
): Promise<RecordOf<Name>> {
  const caller = await requireCaller(ctx);
  return await changeRecord(ctx, table, await existing(ctx, table, id), data, caller.subject);
}

/** Delete a record; requires an administrator. */
export async function removeRecord(ctx: MutationCtx, table: TableNames, id: string): Promise<null> {
  const caller = await requireAdmin(ctx);
  return await deleteRecord(ctx, table, await existing(ctx, table, id), caller.subject);
}

/** Create a record without an access check. */
export async function insertRecord<Name extends TableNames>(
  ctx: MutationCtx,
  table: Name,
  data: Partial<RecordOf<Name>>,
  actor: string | null,
): Promise<RecordOf<Name>> {
  const row: Row = { ...blank(table), ...data, ...(await made(ctx, table, data)), ...managed(table, 1n, null) };
  await apply(ctx, { kind: "insert", table, id: addressOf(tableNamed(table), row), row }, null, actor);
  return shown<Name>(table, row);
}

/** Change columns of a record without an access check. */
export async function changeRecord<Name extends TableNames>(
  ctx: MutationCtx,
  table: Name,
  before: Document,
  data: Partial<RecordOf<Name>>,
  actor: string | null,
): Promise<RecordOf<Name>> {
  const id = addressOf(tableNamed(table), before);
  const moved = keyOf(tableNamed(table)).find((column) => Object.hasOwn(data, column));
  if (moved !== undefined) {
    return refuse({ code: "INVALID", message: `the key column ${moved} of table ${table} cannot be changed` });
  }
  // Another program may have written a value that is not an integer.
  const version = typeof before.version === "bigint" ? before.version + 1n : 1n;
  const row: Row = { ...rowOf(tableNamed(table), before), ...data, ...managed(table, version, before) };
  await apply(ctx, { kind: "update", table, id, row }, before, actor);
  return shown<Name>(table, row);
}

/** Delete a record without an access check. */
export async function deleteRecord(
  ctx: MutationCtx,
  table: TableNames,
  before: Document,
  actor: string | null,
): Promise<null> {
  await apply(ctx, { kind: "delete", table, id: addressOf(tableNamed(table), before), row: null }, before, actor);
  return null;
}

/** The record with the given id; refuses with `NOT_FOUND` if it does not exist. */
export async function existing(ctx: MutationCtx, table: TableNames, id: string): Promise<Document> {
  return (await recordAt(reader(ctx), table, id)) ?? refuse({ code: "NOT_FOUND", table, id });
}

async function apply(ctx: MutationCtx, step: Step, before: Document | null, actor: string | null): Promise<void> {
  checkTexts(step.row);
  const records = new Map([[recordKey(step.table, step.id), before]]);
  await applySteps(writer(ctx), [step], records, actor);
}

function shown<Name extends TableNames>(table: Name, row: Row): RecordOf<Name> {
  return rowOf(tableNamed(table), row) as RecordOf<Name>;
}

function reader(ctx: QueryCtx): Reader {
  return ctx.db as unknown as Reader;
}

function writer(ctx: MutationCtx): Writer {
  return ctx.db as unknown as Writer;
}

function blank(table: string): Row {
  return Object.fromEntries(Object.keys(tableNamed(table).columns).map((column) => [column, null]));
}

/** The key of a new record, if it is made: an id, or a number unless it is given. Any other one must be given. */
async function made(ctx: MutationCtx, table: string, data: object): Promise<Row> {
  const key = keyOf(tableNamed(table));
  const missing = key.find((column) => column !== "id" && (data as Row)[column] === undefined);
  if (tableNamed(table).numbered) {
    return (data as Row)[key[0]] === undefined ? { [key[0]]: await takeNumbers(writer(ctx), table, 1) } : {};
  }
  if (missing !== undefined) {
    return refuse({ code: "INVALID", message: `the key column ${missing} of table ${table} is required` });
  }
  return key[0] === "id" && key.length === 1 ? { id: newId() } : {};
}

/** The version and the times of a record that is written, as far as the table has them. */
function managed(table: string, version: bigint, before: Document | null): Row {
  const now = timestamp();
  const times: Row = before === null ? { created_at: now, updated_at: now } : { updated_at: notBefore(now, before) };
  const values: Row = { ...times, version };
  const { columns } = tableNamed(table);
  return Object.fromEntries(Object.entries(values).filter(([column]) => Object.hasOwn(columns, column)));
}

/** A UUID of version 7: 48 bits of time, followed by the random bits of a UUID of version 4. */
function newId(): string {
  const time = Date.now().toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${crypto.randomUUID().slice(15)}`;
}

/** The time of a change, as `not_before` in `database/core/clock.py` defines it. */
function notBefore(now: string, before: Document): string {
  const last = before.updated_at;
  return typeof last === "string" && last > now && last <= timestamp(LEAP) ? last : now;
}

/** The present time, or a later one, in the format of all backends, with microseconds. */
function timestamp(ahead = 0): string {
  return new Date(Date.now() + ahead).toISOString().replace("Z", "000Z");
}
