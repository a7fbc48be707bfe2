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

/** What a function does: one operation of a table. */
export interface RecordFunction {
  table: string;
  verb: "list" | "get" | "create" | "update" | "remove";
  /** The columns that can be given. */
  columns: string[];
}

const made = new WeakMap<object, RecordFunction>();

/**
 * `list`, `get`, `create`, `update` and `remove` of a declared table, for a module to export. Who may call them is what
 * the table's access rules say.
 *
 * A transaction of Isthmus carries these out itself and so sees what they did; any other function it calls as it is
 * written. It does so if `record_modules.ts` names their module.
 *
 * @param fields the columns that can be given, with their validators
 */
export function recordFunctions<Name extends TableNames, Fields extends PropertyValidators>(
  table: Name,
  fields: Fields,
) {
  const data = v.object(fields);
  const functions = {
    /** The oldest records, at most `limit` of them (100 unless given). */
    list: query({
      args: { limit: v.optional(v.number()) },
      handler: async (ctx, { limit }) => {
        const { own } = await permitted(ctx, table, "read");
        return await listRecords(ctx, table, limit, own && { op: "eq", column: own.column, value: own.subject });
      },
    }),
    /** The record of that id, or null. */
    get: query({
      args: { id: v.string() },
      handler: async (ctx, { id }) => {
        const { own } = await permitted(ctx, table, "read");
        const record = await getRecord(ctx, table, id);
        return record !== null && isTheirs(record, own) ? record : null;
      },
    }),
    /** Make a record and return it. */
    create: mutation({
      args: { data },
      handler: async (ctx, { data }) => {
        const { actor, own } = await permitted(ctx, table, "write");
        return await insertRecord(ctx, table, ownedBy<Name>(data, own), actor);
      },
    }),
    /** Change what is given of a record and return it. */
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

/** The record, which must be there for the caller. */
async function theirs(ctx: MutationCtx, table: TableNames, id: string, own: Permitted["own"]): Promise<Document> {
  const document = await existing(ctx, table, id);
  return isTheirs(document, own) ? document : refuse({ code: "NOT_FOUND", table, id });
}

function isTheirs(record: object, own: Permitted["own"]): boolean {
  return own === null || (record as Row)[own.column] === own.subject;
}

/** What is to be written, with its owner; nothing is made for somebody else, or given away. */
function ownedBy<Name extends TableNames>(data: object, own: Permitted["own"]): Partial<RecordOf<Name>> {
  const row = own === null ? data : { [own.column]: own.subject, ...data };
  return (isTheirs(row, own) ? row : refuse({ code: "FORBIDDEN" })) as Partial<RecordOf<Name>>;
}

/** What the modules export of `recordFunctions`, by path. */
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
