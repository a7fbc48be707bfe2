import { mutation, type MutationCtx, query, type QueryCtx } from "./_generated/server";
import { columnId, columnsOf, documented, type Fields, type RecordTable, recordOf } from "./lib/convergence";
import { refuse } from "./lib/errors";
import { requireAdmin, requireCaller } from "./lib/identity";
import { changeRecord, deleteRecord, existing, getRecord, insertRecord, type RecordOf } from "./lib/records";
import type { Row } from "./lib/types";

// The functions of a storage of Convergence, by their documented names, on the tables of `stores/experiments/tables.py`.
// What they store is found by the application in Python, and the other way round. They answer `{success, data, error}`,
// and refuse with a `ConvexError`. Who is signed in reads and writes; administrators delete.

/** The types of reinforcement-learning records, by the prefixes of their keys. */
const TYPES: Record<string, string> = {
  episode: "episode",
  trajectory: "trajectory",
  agent_legacy: "agent_legacy",
  training_run: "training_run",
  legacy: "agent_legacy",
  rl_training: "training_run",
};
const ID_COLUMNS: Record<RecordTable, string> = {
  rl_data: "rl_key",
  optimization_experiments: "experiment_id",
  optimization_runs: "run_id",
};

/** Store reinforcement-learning data under its key. */
export const save_rl_data = mutation(async (ctx, fields: Fields) => {
  need(fields, "rl_key", "rl_record_type", "agent_id", "episode_timestamp", "rl_episode_data");
  const type = typeOf(fields.rl_key);
  if (fields.rl_record_type !== type || !isObject(fields.rl_episode_data)) {
    return refuse({ code: "INVALID", message: `the key is of the type ${type}, with an object as rl_episode_data` });
  }
  return await stored(ctx, "rl_data", fields.rl_key as string, fields);
});

/** The fields of reinforcement-learning data; null if there is none. */
export const get_rl_data_by_key = query(async (ctx, { rl_key }: Fields) => {
  typeOf(rl_key);
  return await found(ctx, "rl_data", rl_key as string);
});

/** Store the result of an experiment. */
export const save_experiment = mutation(async (ctx, fields: Fields) => {
  need(fields, "experiment_id", "optimization_run_id", "system_name", "algorithm_name", "test_case_id");
  need(fields, "tested_config", "experiment_score", "test_passed", "experiment_timestamp");
  return await stored(ctx, "optimization_experiments", fields.experiment_id as string, documented(fields));
});

/** The experiment with the documented names of its fields; null if there is none. */
export const get_experiment = query(
  async (ctx, { experiment_id }: Fields) => await found(ctx, "optimization_experiments", experiment_id as string),
);

/** Store that a run has started. */
export const start_optimization_run = mutation(async (ctx, fields: Fields) => {
  need(fields, "run_id", "system_name", "algorithm_name");
  const { run_id, system_name, algorithm_name } = fields;
  const present = await read(ctx, "optimization_runs", run_id as string);
  if (present?.status === "completed") {
    return refuse({ code: "INVALID", message: "the run is completed already, and cannot start again" });
  }
  const record = { ...present, run_id, system_name, algorithm_name, status: "started" };
  return await stored(ctx, "optimization_runs", run_id as string, record);
});

/** Store that a run is completed, with its result. */
export const complete_optimization_run = mutation(async (ctx, fields: Fields) => {
  need(fields, "run_id");
  const id = fields.run_id as string;
  const present = await read(ctx, "optimization_runs", id);
  const unknown = { system_name: "unknown", algorithm_name: "unknown" };
  const record = { ...(present ?? unknown), ...documented(fields), status: "completed" };
  return await stored(ctx, "optimization_runs", id, record);
});

/** The run with the documented names of its fields; null if there is none. */
export const get_optimization_run = query(
  async (ctx, { run_id }: Fields) => await found(ctx, "optimization_runs", run_id as string),
);

/** Delete a record; `data` is whether there was one. */
export const delete_by_key = mutation(async (ctx, { key }: Fields) => {
  const caller = await requireAdmin(ctx);
  const [table, id] = placeOf(key);
  if ((await getRecord(ctx, table, id)) === null) {
    return answer(false);
  }
  await deleteRecord(ctx, table, await existing(ctx, table, id), caller.subject);
  return answer(true);
});

async function stored(ctx: MutationCtx, table: RecordTable, id: string, record: Fields) {
  const caller = await requireCaller(ctx);
  const column = columnId(id, ID_COLUMNS[table]);
  const row: Row = columnsOf(table, record);
  if ((await getRecord(ctx, table, column)) === null) {
    const made = { [ID_COLUMNS[table]]: column, ...row };
    await insertRecord(ctx, table, made as Partial<RecordOf<RecordTable>>, caller.subject);
  } else {
    const before = await existing(ctx, table, column);
    await changeRecord(ctx, table, before, row as Partial<RecordOf<RecordTable>>, caller.subject);
  }
  return answer({ key: keyOf(table, id) });
}

async function found(ctx: QueryCtx, table: RecordTable, id: string) {
  return answer(await read(ctx, table, id));
}

async function read(ctx: QueryCtx, table: RecordTable, id: string): Promise<Fields | null> {
  await requireCaller(ctx);
  const row = await getRecord(ctx, table, columnId(id, ID_COLUMNS[table]));
  return row === null ? null : recordOf(row as Row);
}

function answer(data: unknown) {
  return { success: true, data, error: null };
}

function keyOf(table: RecordTable, id: string): string {
  return { rl_data: id, optimization_experiments: `experiment:${id}`, optimization_runs: `run:${id}` }[table];
}

function placeOf(key: unknown): [RecordTable, string] {
  const [, prefix, id] = /^(experiment|run):(.+)$/s.exec(String(key)) ?? [null, null, null];
  if (prefix !== null) {
    return [prefix === "run" ? "optimization_runs" : "optimization_experiments", columnId(id, "the id")];
  }
  typeOf(key);
  return ["rl_data", columnId(key as string, "key")];
}

/** The type of the records with a key; refuses a key of another prefix. */
function typeOf(key: unknown): string {
  const [, prefix] = /^([a-z_]+):.+$/s.exec(String(key)) ?? [null, ""];
  return Object.hasOwn(TYPES, prefix)
    ? TYPES[prefix]
    : refuse({ code: "INVALID", message: `the key must have an id behind one of ${Object.keys(TYPES).join(":, ")}:` });
}

function need(fields: Fields, ...names: string[]): void {
  const missing = names.find((name) => fields[name] === undefined);
  if (missing !== undefined) {
    refuse({ code: "INVALID", message: `the argument ${missing} is missing` });
  }
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof ArrayBuffer);
}
