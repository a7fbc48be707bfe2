import { type PropertyValidators, v } from "convex/values";
import type { TableNames } from "../_generated/dataModel";
import { type MutationCtx, mutation, query } from "../_generated/server";
import { type Permitted, permitted } from "./access";
import type { Document } from "./database";
import { refuse } from "./errors";
import {
  changeRecord,
  deleteRecord,
  existing,
  getRecord,
  insertRecord,
  listRecords,
  type RecordOf,
} from "./records";
import type { Row } from "./types";

/** A function that performs one operation on a table. */
export interface RecordFunction {
  table: string;
  verb: "list" | "get" | "create" | "update" | "remove";
  /** The columns that a caller may set. */
  columns: string[];
}

const made = new WeakMap<object, RecordFunction>();

/**
 * `list`, `get`, `create`, `update` and `remove` of a declared table, for a module to export. The table's access rules
 * decide who may call them.
 *
 * If `record_modules.ts` lists their module, a transaction of Isthmus executes these functions itself and so sees their
 * effects; it calls all other functions at its commit.
 *
 * @param fields the columns that a caller may set, with their validators
 */
export function recordFunctions<Name extends TableNames, Fields extends PropertyValidators>(
  table: Name,
  fields: Fields,
) {
  const data = v.object(fields);
  const functions = {
    /** The oldest records, at most `limit` (default 100). */
    list: query({
      args: { limit: v.optional(v.number()) },
      handler: async (ctx, { limit }) => {
        const { own } = await permitted(ctx, table, "read");
        return await listRecords(ctx, table, limit, own && { op: "eq", column: own.column, value: own.subject });
      },
    }),
    /** The record with the given id, or null. */
    get: query({
      args: { id: v.string() },
      handler: async (ctx, { id }) => {
        const { own } = await permitted(ctx, table, "read");
        const record = await getRecord(ctx, table, id);
        return record !== null && isTheirs(record, own) ? record : null;
      },
    }),
    /** Create a record and return it. */
    create: mutation({
      args: { data },
      handler: async (ctx, { data }) => {
        const { actor, own } = await permitted(ctx, table, "write");
        return await insertRecord(ctx, table, ownedBy<Name>(data, own), actor);
      },
    }),
    /** Change the given columns of a record and return it. */
    update: mutation({
      args: { id: v.string(), data: data.partial() },
      handler: async (ctx, { id, data }) => {
        const { actor, own } = await permitted(ctx, table, "read", "write");
        const before = await theirs(ctx, table, id, own);
        return await changeRecord(ctx, table, before, ownedBy<Name>(data, own), actor);
      },
    }),
    /** Delete a record. */
    remove: mutation({
      args: { id: v.string() },
      handler: async (ctx, { id }) => {
        const { actor, own } = await permitted(ctx, table, "read", "delete");
        return await deleteRecord(ctx, table, await theirs(ctx, table, id, own), actor);
      },
    }),
  };
  for (const [verb, each] of Object.entries(functions)) {
    made.set(each, { table, verb: verb as RecordFunction["verb"], columns: Object.keys(fields) });
  }
  return functions;
}

/** The record; refuses with `NOT_FOUND` if it does not exist or is not the caller's. */
async function theirs(ctx: MutationCtx, table: TableNames, id: string, own: Permitted["own"]): Promise<Document> {
  const document = await existing(ctx, table, id);
  return isTheirs(document, own) ? document : refuse({ code: "NOT_FOUND", table, id });
}

function isTheirs(record: object, own: Permitted["own"]): boolean {
  return own === null || (record as Row)[own.column] === own.subject;
}

/** The columns to write, with their owner; refuses another owner than the caller. */
function ownedBy<Name extends TableNames>(data: object, own: Permitted["own"]): Partial<RecordOf<Name>> {
  const row = own === null ? data : { [own.column]: own.subject, ...data };
  return (isTheirs(row, own) ? row : refuse({ code: "FORBIDDEN" })) as Partial<RecordOf<Name>>;
}

/** The functions made by `recordFunctions` that the modules export, by path. */
export function recordFunctionsIn(modules: Record<string, object>): Record<string, RecordFunction> {
  const found: Record<string, RecordFunction> = {};
  for (const [module, exports] of Object.entries(modules)) {
    for (const [name, exported] of Object.entries(exports)) {
      const known = made.get(exported);
      if (known !== undefined) {
        found[`${module}:${name}`] = known;
      }
    }
  }
  return found;
}
