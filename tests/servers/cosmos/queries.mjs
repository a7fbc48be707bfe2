// Queries on the items of one partition, in pages.

import { createRequire } from "node:module";

import { badRequest } from "./errors.mjs";

const require = createRequire(import.meta.url);
const { default: parse, SyntaxError: QuerySyntaxError } = require("@zeit/cosmosdb-query");

const PAGE = 100; // items, unless the request says how many
const PAGE_BYTES = 4 * 1024 * 1024;
const ORDERED = /\bORDER\s+BY\s+(.+?)(?:\s+OFFSET\b|\s*$)/is;

/** A page: its items, and the continuation of the next one. */
export function runQuery(items, partition, { query, parameters = [] }, pages) {
  checkParameters(query, parameters);
  checkOrder(items.container, query);
  return pageOf(execute(items, partition, query, parameters), pages);
}

/** A page of these items, and the continuation of the next one. */
export function pageOf(found, { most, continuation }) {
  const from = continuation === undefined ? 0 : Number(continuation);
  const page = [];
  let bytes = 0;
  for (const item of found.slice(from, from + (most > 0 ? most : PAGE))) {
    bytes += Buffer.byteLength(JSON.stringify(item));
    if (page.length > 0 && bytes > PAGE_BYTES) break;
    page.push(item);
  }
  const next = from + page.length;
  return { page, continuation: next < found.length ? String(next) : undefined };
}

function execute(items, partition, query, parameters) {
  const { compositeIndexes = [] } = items.container.indexingPolicy ?? {};
  try {
    return parse(query).exec(items.all(partition), { parameters, compositeIndexes }).result;
  } catch (error) {
    if (error instanceof QuerySyntaxError) throw badRequest(`Syntax error: ${error.message}`);
    throw badRequest(error.message);
  }
}

function checkParameters(query, parameters) {
  const known = new Set(parameters.map(({ name }) => name));
  for (const [name] of query.matchAll(/@\w+/g)) {
    if (!known.has(name)) throw badRequest(`The query has the parameter ${name}, which has no value.`);
  }
}

/** Cosmos DB orders only by what is indexed. */
function checkOrder(container, query) {
  const [, text] = ORDERED.exec(query) ?? [];
  for (const [, path] of (text ?? "").matchAll(/\w+\.(\w+)/g)) {
    if (!isIndexed(container.indexingPolicy, path)) {
      throw badRequest("The index path corresponding to the specified order-by item is excluded.");
    }
  }
}

function isIndexed({ includedPaths = [], excludedPaths = [] } = {}, name) {
  const names = (paths) => paths.map(({ path }) => path);
  const included = names(includedPaths);
  if (["id", "_ts"].includes(name) || included.includes(`/${name}/?`)) return true;
  return !names(excludedPaths).some((path) => path === "/*" || path === `/${name}/?`);
}
