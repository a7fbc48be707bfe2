import type { Value } from "convex/values";
import { refuse } from "./errors";
import type { Row } from "./types";

// Records of Convergence as rows of their tables, in the same form as `stores/experiments/entries.py` writes them.

export type Fields = Record<string, Value>;
export type RecordTable = "rl_data" | "optimization_experiments" | "optimization_runs";

type Kind = "text" | "number" | "integer" | "boolean" | "moment";

const LONGEST = 255;

/** By table and column, the kind of the column, and the names that its field has in a record. */
const COLUMNS: Record<RecordTable, Record<string, [Kind, ...string[]]>> = {
  rl_data: {
    rl_record_type: ["text"],
    agent_id: ["text"],
    episode_timestamp: ["moment"],
    civilization_id: ["text"],
    station: ["text"],
    reward_score: ["number"],
    fitness_score: ["number"],
    success: ["boolean"],
  },
  optimization_experiments: {
    optimization_run_id: ["text"],
    system_name: ["text"],
    algorithm_name: ["text"],
    test_case_id: ["text"],
    experiment_score: ["number", "score", "experiment_score"],
    test_passed: ["boolean", "passed", "test_passed"],
    experiment_timestamp: ["moment", "timestamp", "experiment_timestamp"],
    generation_number: ["integer", "generation", "generation_number"],
    latency_ms: ["number"],
    cost_usd: ["number"],
    session_id: ["text"],
  },
  optimization_runs: {
    system_name: ["text"],
    algorithm_name: ["text"],
    status: ["text"],
    winning_config_id: ["text"],
    total_generations: ["integer"],
    convergence_achieved: ["boolean"],
  },
};

/** The documented names of the arguments of functions that have other ones in a record. */
const DOCUMENTED: Record<string, string> = {
  experiment_score: "score",
  test_passed: "passed",
  experiment_timestamp: "timestamp",
  generation_number: "generation",
  full_metrics: "metrics",
  winning_config_snapshot: "winning_config",
};

/** The arguments of a function by the documented names of the fields. */
export function documented(given: Fields): Fields {
  const names = Object.keys(given).map((name) => DOCUMENTED[name] ?? name);
  const twice = names.find((name, place) => names.indexOf(name) !== place);
  if (twice !== undefined) {
    return refuse({ code: "INVALID", message: `the field ${twice} is given by both of its names; give one of them` });
  }
  return Object.fromEntries(Object.values(given).map((value, place) => [names[place], value]));
}

/** The columns of a record, apart from its key. */
export function columnsOf(table: RecordTable, record: Fields): Row {
  const columns = Object.entries(COLUMNS[table]).map(([column, [kind, ...names]]) => {
    const name = (names.length === 0 ? [column] : names).find((one) => Object.hasOwn(record, one));
    return [column, name === undefined ? null : checked(kind, name, record[name])];
  });
  const text = toJson(record);
  const entry = { etag: crypto.randomUUID().replaceAll("-", ""), headers: "{}", metadata: "{}", expires_at: null };
  const stored = { record: text, size: BigInt(new TextEncoder().encode(text).length), stored_at: now() };
  return { ...Object.fromEntries(columns), ...entry, ...stored };
}

/** The record of a row. Values of types that Convex does not have are text. */
export function recordOf(row: Row): Fields {
  return fromJson(JSON.parse(row.record as string)) as Fields;
}

/** An id as it is in its column: as `without_nul` in `storage/core/keys.py`. */
export function columnId(id: Value | undefined, name: string): string {
  if (typeof id !== "string" || id === "") {
    return refuse({ code: "INVALID", message: `${name} must be text of 1 to ${LONGEST} characters` });
  }
  const text = id.replaceAll("\u0001", "\u0001\u0002").replaceAll("\0", "\u0001\u0001");
  return [...text].length <= LONGEST
    ? text
    : refuse({ code: "INVALID", message: `${name} must have at most ${LONGEST} characters` });
}

function checked(kind: Kind, name: string, value: Value): Value {
  if (value === null) {
    return null;
  }
  if (kind === "boolean" && typeof value === "boolean") {
    return value;
  }
  if (kind === "text" && typeof value === "string" && [...value].length <= LONGEST) {
    return value;
  }
  const number = typeof value === "bigint" ? Number(value) : value;
  if (kind === "integer" && Number.isInteger(number)) {
    return BigInt(value as number | bigint);
  }
  if ((kind === "number" || kind === "moment") && typeof number === "number") {
    return Number.isFinite(number) ? number : null;
  }
  const at = kind === "moment" && typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? refuse({ code: "INVALID", message: `the field ${name} must be ${kind}` }) : at / 1_000;
}

/** A value as `storage/core/documents.py` writes it. */
function toJson(value: Value): string {
  if (typeof value === "bigint") {
    return value.toString();
  }
  if (typeof value === "number" && !Number.isFinite(value)) {
    const text = Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
    return JSON.stringify({ $type: "float", value: text });
  }
  if (value instanceof ArrayBuffer) {
    const bytes = Array.from(new Uint8Array(value), (byte) => String.fromCharCode(byte)).join("");
    return JSON.stringify({ $type: "bytes", value: btoa(bytes) });
  }
  if (Array.isArray(value)) {
    return `[${value.map(toJson).join(",")}]`;
  }
  return value !== null && typeof value === "object" ? objectToJson(value as Fields) : JSON.stringify(value);
}

function objectToJson(value: Fields): string {
  const parts = Object.entries(value).filter(([, part]) => part !== undefined);
  const text = `{${parts.map(([key, part]) => `${JSON.stringify(unescaped(key))}:${toJson(part)}`).join(",")}}`;
  return parts.some(([key]) => unescaped(key) === "$type") ? `{"$type":"object","value":${text}}` : text;
}

function fromJson(value: unknown): Value {
  if (Array.isArray(value)) {
    return value.map(fromJson);
  }
  if (value === null || typeof value !== "object") {
    return value as Value;
  }
  const parts = value as Record<string, unknown>;
  if (Object.hasOwn(parts, "$type")) {
    return parts.$type === "object" ? objectFromJson(parts.value as object) : (parts.value as string);
  }
  return objectFromJson(parts);
}

function objectFromJson(parts: object): Value {
  return Object.fromEntries(Object.entries(parts).map(([key, part]) => [escaped(key), fromJson(part)]));
}

/** A key in a form that Convex accepts, as `escape_key` in `database/backends/convex/codec.py`. */
function escaped(key: string): string {
  return /^[ -~]+$/.test(key) && !/^[$_~]/.test(key) ? key : `~${encodeURIComponent(key)}`;
}

function unescaped(key: string): string {
  return key.startsWith("~") ? decodeURIComponent(key.slice(1)) : key;
}

function now(): string {
  return new Date().toISOString().replace("Z", "000Z");
}
