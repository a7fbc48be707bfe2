// Serves an account of Cosmos DB on 127.0.0.1; all is kept in memory.
//
//   node main.mjs SETTINGS.json
//
// The settings are {port, key}. Tests tell it how to fail: POST /_fault {"match", "status", "times", "retryAfterMs"}; GET /_fault
// answers which requests have come since, but for those of the account itself, and the last of them in full.

import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";

import { Refused, tooLarge } from "./errors.mjs";
import { Service } from "./routes.mjs";
import { throughputOf } from "./throughput.mjs";

const LARGEST = 2 * 1024 * 1024; // bytes of a request
const FAULTS = "/_fault";
const ACCOUNT = "/";
const KEPT = 100; // requests that are told in full

const { port, key } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const service = new Service(port);
let fault = { times: 0 };
let requests = 0;
let seen = [];

const server = http.createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
  answer(request).then(
    ({ status, body, headers = {} }) => send(response, status, body, headers),
    (error) => sendError(response, error),
  );
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(0));
server.listen(port, "127.0.0.1");

async function answer(request) {
  const path = request.url.split("?")[0].replace(/^\/\//, "/").replace(/(.)\/+$/, "$1");
  const text = await bodyOf(request);
  if (path === FAULTS) return steered(request, text);
  // A client reads the account in a thread of its own, at a time that no test knows.
  if (path !== ACCOUNT) count(request, path);
  if (!isAuthorized(request, path)) {
    throw new Refused(401, "Unauthorized", "The input authorization token can't serve the request.");
  }
  if (Buffer.byteLength(text) > LARGEST) throw tooLarge();
  if (fault.times > 0 && path.includes(fault.match)) {
    fault.times -= 1;
    const headers = { "x-ms-retry-after-ms": String(fault.retryAfterMs ?? 0) };
    return { status: fault.status, body: { code: String(fault.status), message: "as a test demands" }, headers };
  }
  return service.answer(request, path, text);
}

function count(request, path) {
  requests += 1;
  seen = [...seen.slice(1 - KEPT), { method: request.method, path, host: request.headers.host, ...throughputOf(request) }];
}

function steered(request, text) {
  if (request.method === "POST") {
    fault = JSON.parse(text);
    requests = 0;
    seen = [];
  }
  return { status: 200, body: { requests, seen } };
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

/** Whether the request is signed with the account's key, as "Access control in the Azure Cosmos DB SQL API" says. */
function isAuthorized({ method, headers }, path) {
  const [, given] = /type=master&ver=1\.0&sig=(.+)/.exec(decodeURIComponent(headers.authorization ?? "")) ?? [];
  if (given === undefined) return false;
  const parts = decodeURIComponent(path).split("/").filter(Boolean);
  const named = parts.length % 2 === 0;
  const type = parts.at(named ? -2 : -1) ?? "";
  const link = (named ? parts : parts.slice(0, -1)).join("/");
  const signed = [method.toLowerCase(), type, link, (headers["x-ms-date"] ?? "").toLowerCase(), "", ""].join("\n");
  const right = createHmac("sha256", Buffer.from(key, "base64")).update(signed).digest();
  const sent = Buffer.from(given, "base64");
  return sent.length === right.length && timingSafeEqual(sent, right);
}

function send(response, status, body, headers) {
  const text = body === undefined ? "" : JSON.stringify(body);
  const etag = body?._etag === undefined ? {} : { etag: body._etag };
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
    "x-ms-activity-id": randomUUID(),
    "x-ms-request-charge": "1",
    ...etag,
    ...headers,
  });
  response.end(text);
}

function sendError(response, error) {
  if (!(error instanceof Refused)) console.error(error);
  const { status = 500, code = "InternalServerError", message, subStatus = 0 } = error;
  send(response, status, { code, message }, { "x-ms-substatus": String(subStatus) });
}
