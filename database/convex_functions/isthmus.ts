import { internalMutationGeneric as internalMutation, internalQueryGeneric as internalQuery } from "convex/server";
import { v } from "convex/values";
import { internal } from "./_generated/api";
import { Budget } from "./lib/query/budget";
import { changesAfter } from "./lib/writing/changes";
import { commit as commitRequest } from "./lib/writing/commit";
import { recordAt } from "./lib/database";
import { grouped } from "./lib/query/groups";
import { rowOf, tableNamed, underBothNames } from "./lib/metadata";
import { byKey } from "./lib/query/order";
import { takeNumbers } from "./lib/writing/numbers";
import { purgeChunk } from "./lib/writing/purge";
import { recordFunctionsIn } from "./lib/record_functions";
import { select as selectRows } from "./lib/query/select";
import { RECORD_MODULES } from "./record_modules";

// Internal functions, which can only be called with the deploy key: they do not check access rules.

const MIB = 1024 * 1024;
const RECORD_FUNCTIONS = recordFunctionsIn(RECORD_MODULES);
const PAGE = { records: 4_000, bytes: 6 * MIB };

const order = v.array(v.object({ column: v.string(), descending: v.boolean(), nulls_first: v.boolean() }));
const limit = v.union(v.null(), v.number());
const row = v.record(v.string(), v.any());
const rowOrNull = v.union(v.null(), row);

/** The record with the given id, or null. */
export const get = internalQuery({
  args: { table: v.string(), id: v.string() },
  handler: async (ctx, { table, id }) => {
    const declared = tableNamed(table);
    const document = await recordAt(ctx.db, table, id);
    return document && underBothNames(declared)(rowOf(declared, document));
  },
});

/**
 * One page of a query: its `rows`, sorted and cut to `limit` (with `group`, the groups in no particular order), with
 * `count` their number as `total`, and `next`, the position to continue from if rows remain. The caller merges pages.
 */
export const select = internalQuery({
  args: {
    table: v.string(),
    where: v.any(),
    order,
    limit,
    count: v.boolean(),
    group: v.union(v.null(), v.array(v.string())),
    after: v.union(v.null(), v.string()),
  },
  handler: async (ctx, { table, where, order, limit, count, group, after }) => {
    const budget = new Budget(PAGE.records, PAGE.bytes);
    if (group === null) {
      const { rows, total, next } = await selectRows(ctx.db, { table, where, order, limit }, { count, after, budget });
      return { rows: rows.map(underBothNames(tableNamed(table))), total: count ? BigInt(total) : null, next };
    }
    const all = { table, where, order: byKey(tableNamed(table)), limit: null };
    const { rows, next } = await selectRows(ctx.db, all, { count: true, after, budget });
    return { rows: grouped(table, rows, group), total: null, next };
  },
});

/** The record functions by path, which a transaction may execute itself: each is one operation on a table. */
export const recordFunctions = internalQuery({ args: {}, handler: () => Object.entries(RECORD_FUNCTIONS) });

/** Commit a prepared transaction. */
export const commit = internalMutation({
  args: {
    key: v.string(),
    fingerprint: v.string(),
    actor: v.union(v.null(), v.string()),
    reads: v.array(v.object({ table: v.string(), id: v.string(), expected: rowOrNull })),
    ranges: v.array(v.object({ table: v.string(), where: v.any(), order, limit, expected: v.array(row) })),
    steps: v.array(
      v.object({
        kind: v.union(v.literal("insert"), v.literal("update"), v.literal("delete")),
        table: v.string(),
        id: v.string(),
        row: rowOrNull,
      }),
    ),
    calls: v.array(v.object({ path: v.string(), args: v.record(v.string(), v.any()) })),
    joined: v.optional(v.array(v.string())),
  },
  handler: (ctx, request) => commitRequest(ctx, request, RECORD_FUNCTIONS),
});

/** Take numbers for the keys of new records of a table; the first of them. */
export const reserve = internalMutation({
  args: { table: v.string(), count: v.number() },
  handler: async (ctx, { table, count }) => await takeNumbers(ctx.db, table, count),
});

/** The entries of the change log after a cursor. */
export const changes = internalQuery({
  args: { rev: v.int64(), seq: v.int64(), limit: v.number() },
  handler: async (ctx, { rev, seq, limit }) => await changesAfter(ctx.db, { rev, seq }, limit),
});

/** The end of the change log, as the `rev` of a cursor: all later changes come after it. */
export const head = internalQuery({
  args: {},
  handler: (ctx) => ctx.meta.getSnapshotTs(),
});

/** Delete older commit results and log entries, in as many transactions as necessary. */
export const purge = internalMutation({
  args: { keep_seconds: v.number() },
  handler: async (ctx, { keep_seconds }): Promise<null> => {
    const until = ctx.meta.getSnapshotTs() - BigInt(Math.round(keep_seconds * 1e9));
    if (await purgeChunk(ctx.db, until)) {
      await ctx.scheduler.runAfter(0, internal.isthmus.purge, { keep_seconds });
    }
    return null;
  },
});
