// The routes of a deployment: what each URL path does with a request.
// https://docs.convex.dev/http-api

import { badRequest, forbidden } from "../errors.mjs";
import { canonicalPath } from "../functions.mjs";
import { argumentsOf, parseJson, readJson } from "./requests.mjs";
import { SYSTEM_QUERIES } from "./system.mjs";
import { decodeTimestamp, encodeTimestamp, formatter } from "./values.mjs";

const VERSION = "convex-test-deployment";

/**
 * @typedef {object} Deployment
 * @property {string} name
 * @property {import("../functions.mjs").Functions} functions
 * @property {import("../auth.mjs").Authenticator} authenticator
 * @property {import("../faults.mjs").Faults} faults
 * @property {import("../counts.mjs").Counts} counts
 */

/**
 * The answers by URL path and method, each a function of `{request, url, deployment}` that gives the body.
 *
 * @type {Record<string, Record<string, (exchange: object) => Promise<string>>>}
 */
export const ROUTES = {
  "/version": { GET: async () => VERSION },
  "/instance_version": { GET: async () => VERSION },
  "/instance_name": { GET: async ({ deployment }) => deployment.name },
  "/api/query": { GET: queryByUrl, POST: callBy("query") },
  "/api/mutation": { POST: callBy("mutation") },
  "/api/action": { POST: callBy("action") },
  "/api/function": { POST: callAnyAsAdmin },
  "/api/query_ts": { POST: currentTimestamp },
  "/api/query_at_ts": { POST: queryAtTimestamp },
  "/api/query_batch": { POST: queryBatch },
};

/** `POST /api/run/folder/module/function`: a function of any kind. */
export const RUN_PREFIX = "/api/run/";

export async function runByUrl(exchange) {
  const steps = exchange.url.pathname.slice(RUN_PREFIX.length).split("/").map(decodeURIComponent);
  if (steps.length < 2) {
    throw badRequest("MissingIdentifier", "Path or function name not provided in path, e.g. /api/run/messages/list");
  }
  const body = await readJson(exchange.request);
  return call(exchange, "any", { ...body, path: `${steps.slice(0, -1).join("/")}:${steps.at(-1)}` });
}

function callBy(kind) {
  return async (exchange) => call(exchange, kind, await readJson(exchange.request));
}

function queryByUrl(exchange) {
  const { path, args = "{}", format } = Object.fromEntries(exchange.url.searchParams);
  return call(exchange, "query", { path, format, args: parseJson(args) });
}

async function callAnyAsAdmin(exchange) {
  const { admin } = await callerOf(exchange);
  if (!admin) throw forbidden();
  return call(exchange, "any", await readJson(exchange.request));
}

async function currentTimestamp({ deployment }) {
  return JSON.stringify({ ts: encodeTimestamp(await deployment.functions.timestamp()) });
}

async function queryAtTimestamp(exchange) {
  const body = await readJson(exchange.request);
  const [answer] = await querySnapshot(exchange, [body], decodeTimestamp(body.ts));
  return answer;
}

async function queryBatch(exchange) {
  const { queries } = await readJson(exchange.request);
  if (!Array.isArray(queries)) throw badRequest("BadJsonBody", "queries is not a list");
  return `{"results":[${await querySnapshot(exchange, queries)}]}`;
}

async function querySnapshot(exchange, bodies, timestamp) {
  const caller = await callerOf(exchange);
  const formats = bodies.map(({ format }) => formatter(format));
  const queries = bodies.map((body) => ({ path: canonicalPath(body.path), args: argumentsOf(body) }));
  const outcomes = await surroundedByFaults(exchange, queries, () =>
    exchange.deployment.functions.snapshot(queries, caller, timestamp),
  );
  return outcomes.map((outcome, index) => outcomeText(outcome, formats[index]));
}

async function call(exchange, kind, body) {
  const { functions, faults } = exchange.deployment;
  const caller = await callerOf(exchange);
  const format = formatter(body.format);
  const query = { path: canonicalPath(body.path), args: argumentsOf(body) };
  const outcome = await surroundedByFaults(exchange, [query], () =>
    caller.admin && SYSTEM_QUERIES.has(query.path)
      ? { value: SYSTEM_QUERIES.get(query.path)(functions), logLines: [] }
      : functions.call(kind, query.path, query.args, caller, () => faults.takeConflict(query.path)),
  );
  return outcomeText(outcome, format);
}

async function surroundedByFaults({ request, deployment: { faults, counts } }, queries, work) {
  for (const { path } of queries) counts.function(path);
  for (const { path } of queries) await faults.strike(path, "before", request.socket);
  const result = await work();
  for (const { path } of queries) await faults.strike(path, "after", request.socket);
  return result;
}

const callerOf = ({ request, deployment }) => deployment.authenticator.authenticate(request.headers.authorization);

/** The answer of a function; the lines it logged are left out if there are none. */
function outcomeText({ value, message, data, logLines }, format) {
  const logged = logLines.length ? `,"logLines":${JSON.stringify(logLines)}` : "";
  if (message === undefined) return `{"status":"success","value":${format(value ?? null)}${logged}}`;
  const errorData = data === undefined ? "" : `,"errorData":${format(data)}`;
  return `{"status":"error","errorMessage":${JSON.stringify(message)}${errorData}${logged}}`;
}
