// What is answered to a request: items by the rules of Cosmos DB, databases and containers by the package's own handlers.

import { createRequire } from "node:module";
import { Readable } from "node:stream";

import { runBatch } from "./batches.mjs";
import { badRequest, noContainer } from "./errors.mjs";
import { Items } from "./items.mjs";
import { pageOf, runQuery } from "./queries.mjs";
import { checkThroughput } from "./throughput.mjs";

const require = createRequire(import.meta.url);
const { default: Account } = require("@vercel/cosmosdb-server/lib/account");
const { default: route } = require("@vercel/cosmosdb-server/lib/routes");

const DOCUMENTS = /^\/dbs\/([^/]+)\/colls\/([^/]+)\/docs(?:\/([^/]+))?$/;

export class Service {
  /** @param {number} port of this server, which clients are told to be two regions, by two names of this machine */
  constructor(port) {
    this.account = new Account("127.0.0.1", port);
    const [written, read] = ["127.0.0.1", "localhost"].map((host) => `http://${host}:${port}/`);
    const account = this.account.read();
    account.writableLocations = [{ name: "East US", databaseAccountEndpoint: written }];
    account.readableLocations = [...account.writableLocations, { name: "West US", databaseAccountEndpoint: read }];
    this.items = new Map();
  }

  /** The status, body and headers of an answer. */
  async answer(request, path, text) {
    const found = DOCUMENTS.exec(path);
    if (found === null) return this.#delegate(request, text);
    const [database, container, id] = found.slice(1).map((part) => part && decodeURIComponent(part));
    const items = this.#itemsOf(database, container);
    if (id === undefined && request.method === "GET") return listed(items, request);
    const partition = partitionOf(request, items.container);
    const body = text.length > 0 ? JSON.parse(text) : undefined;
    const answer = id === undefined ? toAll(items, partition, request, body) : toOne(items, partition, id, request, body);
    const isWritten = answer.body?._etag !== undefined && request.headers.prefer === "return=minimal";
    return isWritten ? { status: answer.status } : answer;
  }

  #itemsOf(database, name) {
    const container = this.account.database(database).collection(name).read();
    if (!container) throw noContainer();
    if (!this.items.has(container._rid)) this.items.set(container._rid, new Items(container));
    const items = this.items.get(container._rid);
    items.container = container;
    return items;
  }

  async #delegate(request, text) {
    const found = route(request);
    if (found === undefined) throw badRequest("There is no such route.");
    checkThroughput(request);
    const [parameters, handler] = found;
    const headers = {};
    const response = { statusCode: 200, setHeader: (name, value) => (headers[name] = value) };
    const body = await handler(this.account, replayed(request, text), response, parameters);
    return { status: response.statusCode, body: body ?? {}, headers };
  }
}

/** A request whose body was read already, for handlers that read it. */
function replayed(request, text) {
  const stream = Readable.from(text.length > 0 ? [Buffer.from(text)] : [], { objectMode: false });
  return Object.assign(stream, { headers: request.headers, method: request.method, url: request.url });
}

function partitionOf(request, { partitionKey }) {
  const header = request.headers["x-ms-documentdb-partitionkey"];
  const partition = header === undefined ? undefined : JSON.parse(header);
  if (!Array.isArray(partition) || partition.length !== partitionKey.paths.length) {
    throw badRequest("PartitionKey value must be supplied for this operation.");
  }
  return partition;
}

const isTrue = (request, name) => String(request.headers[name]).toLowerCase() === "true";

function toAll(items, partition, request, body) {
  if (request.method !== "POST") throw badRequest(`The method ${request.method} is not supported here.`);
  if (isTrue(request, "x-ms-documentdb-isquery")) return queried(items, partition, request, body);
  if (isTrue(request, "x-ms-cosmos-is-batch-request")) {
    const results = runBatch(items, partition, body);
    const failed = results.some(({ statusCode }) => statusCode >= 400);
    return { status: failed ? 207 : 200, body: results };
  }
  if (isTrue(request, "x-ms-documentdb-is-upsert")) {
    return { status: 200, body: items.upsert(partition, body, request.headers["if-match"]) };
  }
  return { status: 201, body: items.create(partition, body) };
}

/** The items of all partitions. */
function listed(items, request) {
  return answerOf(pageOf(items.every(), pagesOf(request)));
}

function queried(items, partition, request, body) {
  return answerOf(runQuery(items, partition, body, pagesOf(request)));
}

const pagesOf = ({ headers }) => ({
  most: Number(headers["x-ms-max-item-count"]),
  continuation: headers["x-ms-continuation"],
});

function answerOf({ page, continuation }) {
  const headers = continuation === undefined ? {} : { "x-ms-continuation": continuation };
  return { status: 200, body: { Documents: page, _count: page.length }, headers };
}

function toOne(items, partition, id, request, body) {
  const ifMatch = request.headers["if-match"];
  switch (request.method) {
    case "GET":
      return { status: 200, body: items.read(partition, id) };
    case "PUT":
      return { status: 200, body: items.replace(partition, id, body, ifMatch) };
    case "DELETE":
      items.delete(partition, id, ifMatch);
      return { status: 204 };
    default:
      throw badRequest(`The method ${request.method} is not supported here.`);
  }
}
