import { makeFunctionReference } from "convex/server";
import { ConvexError, type Value } from "convex/values";
import { inBatches } from "./batches";
import { Budget } from "../query/budget";
import { logChanges } from "./changes";
import { type Change, netChanges, type Records, recordKey, type Step } from "./changeset";
import { checkConstraints } from "./constraints";
import { inIndex, type MutationContext, type Reader, recordAt, type Writer } from "../database";
import { refuse } from "../errors";
import { kindOf, rowOf, tableNamed, underPresentNames } from "../metadata";
import type { Row } from "../types";
import { type Query, select } from "../query/select";
import { canonical, sameJson, sameValue } from "../values";

/** A transaction that a client has prepared, based on its reads. */
export interface Request {
  key: string;
  fingerprint: string;
  actor: string | null;
  reads: { table: string; id: string; expected: Row | null }[];
  ranges: (Query & { expected: Row[] })[];
  steps: Step[];
  /** Functions to run after the steps, in this order. */
  calls: { path: string; args: Record<string, Value> }[];
  /** Record functions that the client has executed itself, as part of the steps and reads, instead of calling them. */
  joined?: string[];
}

export interface Answer {
  replayed: boolean;
  /** The return values of the calls. */
  values: Value[];
}

const MIB = 1024 * 1024;

/** Each step writes a record and an entry of the change log, and Convex allows 16,000 writes. */
const MAX_STEPS = 7_900;
/** Convex allows 4,096 look-ups. */
const MAX_LOOKUPS = 4_000;

/**
 * Commit a prepared transaction atomically if everything it has read is unchanged; at most once per idempotency key.
 *
 * @param replaceable the record functions, which a client may execute itself, by path
 */
export async function commit(ctx: MutationContext, request: Request, replaceable: object): Promise<Answer> {
  const { key, fingerprint, actor, steps } = request;
  const answered = await earlierAnswer(ctx.db, key, fingerprint);
  if (answered !== null) {
    return { replayed: true, values: answered };
  }
  checkJoined(request.joined ?? [], replaceable);
  checkSize(request);
  const records = await checkedReads(ctx.db, request.reads);
  await checkRanges(ctx.db, request.ranges);
  await applySteps(ctx.db, steps, records, actor);
  const values = await runCalls(ctx, request.calls);
  if (steps.length === 0 && values.length === 0) {
    // A commit that only compares reads may be repeated, so its key need not be stored.
    return { replayed: false, values };
  }
  await ctx.db.insert("isthmusCommits", { key, fingerprint, answer: values, rev: ctx.db.vars.commitTs });
  return { replayed: false, values };
}

/** Apply the steps, check the constraints, and log the changes. */
export async function applySteps(db: Writer, steps: Step[], records: Records, actor: string | null): Promise<void> {
  const changes = netChanges(steps, records);
  await inBatches(changes, (change) => write(db, change));
  await checkConstraints(db, changes, MAX_LOOKUPS - records.size);
  await logChanges(
    db,
    steps.map(({ kind, table, id }) => ({ table, id, op: kind })),
    actor,
  );
}

async function earlierAnswer(db: Reader, key: string, fingerprint: string): Promise<Value[] | null> {
  const known = await inIndex(db, "isthmusCommits", "by_key", [["eq", "key", key]]).first();
  if (known !== null && known.fingerprint !== fingerprint) {
    refuse({ code: "KEY_REUSED" });
  }
  return known === null ? null : known.answer;
}

/** Refuse if a function that the client has executed itself is no longer a record function. */
function checkJoined(joined: string[], replaceable: object): void {
  const replaced = joined.find((path) => !Object.hasOwn(replaceable, path));
  if (replaced !== undefined) {
    refuse({ code: "REDEPLOYED", path: replaced });
  }
}

function checkSize({ reads, steps }: Request): void {
  if (steps.length > MAX_STEPS) {
    refuse({ code: "LIMIT", message: `a transaction may make at most ${MAX_STEPS} changes` });
  }
  if (reads.length > MAX_LOOKUPS) {
    refuse({ code: "LIMIT", message: `a transaction may look up at most ${MAX_LOOKUPS} records` });
  }
}

/** The records that were read; refuses with `STALE` if one has changed. */
async function checkedReads(db: Reader, reads: Request["reads"]): Promise<Records> {
  reads.forEach(({ table }) => tableNamed(table));
  const found = await inBatches(reads, ({ table, id }) => recordAt(db, table, id));
  reads.forEach(({ table, id, expected }, position) => {
    const current = found[position];
    const same =
      current === null || expected === null
        ? current === expected
        : agrees(table, rowOf(tableNamed(table), current), expected);
    if (!same) {
      refuse({ code: "STALE", table, id });
    }
  });
  return new Map(reads.map(({ table, id }, position) => [recordKey(table, id), found[position]]));
}

/** Run the queries again; refuses with `STALE` if a row was added, removed, moved or changed. */
async function checkRanges(db: Reader, ranges: Request["ranges"]): Promise<void> {
  const budget = new Budget(24_000, 10 * MIB);
  for (const { expected, ...query } of ranges) {
    const { rows, next } = await select(db, query, { count: false, after: null, budget });
    if (next !== null) {
      refuse({ code: "LIMIT", message: "the queries of the transaction read too many rows to be validated" });
    }
    const { table } = query;
    if (rows.length !== expected.length || !rows.every((row, place) => agrees(table, row, expected[place]))) {
      refuse({ code: "STALE", table, id: null });
    }
  }
}

/** Whether a row has the expected values in all expected columns. */
function agrees(table: string, row: Row, expected: Row): boolean {
  return Object.entries(underPresentNames(tableNamed(table), expected)).every(([column, value]) =>
    kindOf(table, column) === "json" ? sameJson(row[column], value) : sameValue(row[column], value),
  );
}

async function write(db: Writer, { table, before, after }: Change): Promise<void> {
  if (after === null) {
    return before === null ? undefined : await db.delete(before._id);
  }
  const row = Object.fromEntries(Object.entries(after).map(([column, value]) => [column, canonical(value)]));
  await (before === null ? db.insert(table, row) : db.replace(before._id, row));
}

async function runCalls(ctx: MutationContext, calls: Request["calls"]): Promise<Value[]> {
  const values: Value[] = [];
  for (const { path, args } of calls) {
    values.push((await run(ctx, path, args)) ?? null);
  }
  return values;
}

/** Run a function; an error that it throws aborts the commit, with a code that distinguishes it from other refusals. */
async function run(ctx: MutationContext, path: string, args: Record<string, Value>): Promise<Value> {
  try {
    return await ctx.runMutation(makeFunctionReference<"mutation">(path), args);
  } catch (error) {
    if (error instanceof ConvexError) {
      return refuse({ code: "CALL_REFUSED", path, data: error.data });
    }
    // The message goes only to the deployment's log, as when the function is called directly.
    console.error(error);
    return refuse({ code: "CALL_FAILED", path });
  }
}
