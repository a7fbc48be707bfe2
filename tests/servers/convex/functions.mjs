// Runs the functions of a deployment. convex-test keeps the documents and runs one transaction at a time; what Convex
// checks and convex-test does not is added here. A result that does not fit its `returns` validator is the exception:
// that comes to light after the commit.

import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";

import { convexTest } from "convex-test";
import { makeFunctionReference } from "convex/server";
import { convexToJson, jsonToConvex } from "convex/values";

import { captureConsole } from "./console.mjs";
import { Documents, keepIn, storeOf } from "./documents.mjs";
import { HttpError, badRequest, conflict } from "./errors.mjs";
import { checkResult, checkValue, guardWrites } from "./limits.mjs";

const PATH = /^(?<module>[\w./-]+?)(\.js)?(:(?<name>\w+))?$/;
const TITLES = { query: "Query", mutation: "Mutation", action: "Action" };

/** The state of the call that runs: `{losing, entered}`. */
const calls = new AsyncLocalStorage();

/** `molecules:list` for `molecules.js:list`, and `molecules:default` for `molecules`. */
export function canonicalPath(path) {
  const groups = typeof path === "string" ? PATH.exec(path)?.groups : undefined;
  if (!groups) throw badRequest("BadConvexFunctionIdentifier", `${path} is not a valid path to a Convex function.`);
  return `${groups.module}:${groups.name ?? "default"}`;
}

/** `query`, `mutation`, `action`, or undefined for what is no function. */
export function kindOf(exported) {
  if (exported?.isQuery) return "query";
  if (exported?.isMutation) return "mutation";
  return exported?.isAction ? "action" : undefined;
}

/**
 * The functions and the documents that they work on.
 *
 * A call has an outcome: `{value, logLines}` or `{message, data, logLines}`, where `data` is what a `ConvexError`
 * carries, else undefined.
 */
export class Functions {
  #registry;
  #schema;
  #redacted;
  #data;
  #backend;

  /**
   * @param {Map<string, object>} modules exports by the path of the module
   * @param {object} [schema] the default export of `schema.ts`
   * @param {boolean} redacted hide messages and logs of functions, as a production deployment does
   * @param {string} [data] the file that keeps the documents
   */
  constructor(modules, schema, redacted, data) {
    this.#registry = registryOf(modules);
    this.#schema = schema;
    this.#redacted = redacted;
    this.#data = data;
  }

  /** Begin, with the documents of the file if there is one. */
  async start() {
    await this.#begin();
    guardWrites();
  }

  async #begin() {
    const backend = this.#empty();
    const documents = new Documents(await storeOf(backend));
    if (this.#data) {
      keepIn(this.#data, documents);
      await backend.mutation(async () => null); // times of snapshots go on behind those of the process before
    }
    this.#backend = backend;
  }

  /** Empty all tables. */
  async reset() {
    if (this.#data) writeFileSync(this.#data, "");
    await this.#begin();
  }

  #empty() {
    const modules = {};
    for (const [path, exported] of this.#registry) {
      const [module, name] = path.split(":");
      (modules[`./convex/${module}.js`] ??= {})[name] = guarded(path, exported);
    }
    const loaders = Object.entries(modules).map(([path, exports]) => [path, async () => exports]);
    return convexTest({
      schema: this.#schema,
      modules: Object.fromEntries([["./convex/_generated/api.js", async () => ({})], ...loaders]),
      transactionLimits: true,
    });
  }

  /** Every function as `[path, function]`. */
  entries() {
    return [...this.#registry];
  }

  /**
   * Run a function.
   *
   * @param {string} kind what it must be: `query`, `mutation`, `action`, or `any` of them
   * @param {string} path canonical
   * @param {object} args as encoded JSON
   * @param {{admin: boolean, identity: object | null}} caller
   * @param {() => boolean} [loses] asked before a mutation runs: whether to roll it back and answer with a conflict
   */
  call(kind, path, args, caller, loses = () => false) {
    return this.#attempt(path, async () => {
      const actual = this.#kindFor(kind, path, caller);
      const call = { losing: actual === "mutation" && loses(), entered: false };
      return calls.run(call, () => this.#as(caller)[actual](makeFunctionReference(path), decoded(path, args)));
    });
  }

  /**
   * Run queries on one state of the database.
   *
   * @param {{path: string, args: object}[]} queries
   * @param {bigint} [timestamp] the state to read; only the newest is kept
   */
  async snapshot(queries, caller, timestamp) {
    return this.#as(caller).query(async (ctx) => {
      if (timestamp !== undefined && timestamp < ctx.meta.getSnapshotTs()) {
        throw new HttpError(503, "OutOfRetention", "That state of the database is not kept");
      }
      const outcomes = [];
      for (const { path, args } of queries) {
        outcomes.push(await this.#attempt(path, () => this.#nested(ctx, path, args, caller)));
      }
      return outcomes;
    });
  }

  /** The time of the newest commit in nanoseconds. */
  timestamp() {
    return this.#backend.query(async (ctx) => ctx.meta.getSnapshotTs());
  }

  #nested(ctx, path, args, caller) {
    this.#kindFor("query", path, caller);
    return calls.run({}, () => ctx.runQuery(makeFunctionReference(path), decoded(path, args)));
  }

  #as({ identity }) {
    return identity ? this.#backend.withIdentity(identity) : this.#backend;
  }

  #kindFor(wanted, path, { admin }) {
    const exported = this.#registry.get(path);
    if (!exported || (exported.isInternal && !admin)) {
      throw new Refused(`Could not find public function for '${path.replace(/:default$/, "")}'.`);
    }
    const actual = kindOf(exported);
    if (wanted === "any" || wanted === actual) return actual;
    throw new Refused(`Trying to execute ${path} as ${TITLES[wanted]}, but it is defined as ${TITLES[actual]}.`);
  }

  async #attempt(path, work) {
    const lines = [];
    const logLines = this.#redacted ? [] : lines;
    try {
      return { value: await captureConsole(lines, work), logLines };
    } catch (error) {
      if (error instanceof HttpError) throw error;
      return { ...this.#failure(error, path), logLines };
    }
  }

  #failure(error, path) {
    const summary = `[Request ID: ${randomBytes(8).toString("hex")}] Server Error`;
    const data = isConvexError(error) ? error.data : undefined;
    return { message: this.#redacted ? summary : `${summary}\n${details(error, path)}`, data };
  }
}

/** A call that was not carried out; the message is for the caller. */
class Refused extends Error {}

function registryOf(modules) {
  const registry = new Map();
  for (const [module, exports] of modules) {
    if (module.startsWith("_generated/")) continue; // its proxies have every property
    for (const [name, exported] of Object.entries(exports)) {
      if (kindOf(exported)) registry.set(`${module}:${name}`, exported);
    }
  }
  return registry;
}

/** A function that is also judged by its result, before what it did is committed. */
function guarded(path, exported) {
  const handler = async (ctx, args) => {
    const call = calls.getStore() ?? {};
    const outermost = !call.entered;
    call.entered = true;
    const result = await exported._handler(ctx, args);
    checkResult(result);
    if (outermost && call.losing) throw conflict(path);
    return result;
  };
  const { isQuery, isMutation, isAction, exportArgs, exportReturns } = exported;
  return { isQuery, isMutation, isAction, exportArgs, exportReturns, _handler: handler };
}

function decoded(path, args) {
  try {
    const value = jsonToConvex(args);
    checkValue(value);
    return value;
  } catch (error) {
    throw new Refused(`Invalid arguments for ${path}: ${error.message}`);
  }
}

const isConvexError = (error) => error instanceof Error && Symbol.for("ConvexError") in error;

function details(error, path) {
  if (error instanceof Refused) return error.message;
  if (isConvexError(error)) return `Uncaught ConvexError: ${dataText(error.data)}`;
  if (/^Validator error/.test(error.message)) return `ArgumentValidationError: ${error.message}`;
  return `Uncaught ${error.name}: ${error.message}\n    at handler (../convex/${path.split(":")[0]}.ts)`;
}

const dataText = (data) => (typeof data === "string" ? data : JSON.stringify(convexToJson(data)));
