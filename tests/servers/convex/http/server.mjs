// The HTTP server before a deployment: finds the route, lets faults strike, and turns errors into answers.

import http from "node:http";

import { CONTROL_ROUTES } from "./control.mjs";
import { HttpError } from "../errors.mjs";
import { Dropped } from "../faults.mjs";
import { ROUTES, RUN_PREFIX, runByUrl } from "./routes.mjs";

const KEEP_ALIVE = 65_000; // milliseconds; longer than clients keep idle connections

/**
 * @param {import("./routes.mjs").Deployment} deployment
 * @param {{control: boolean}} options whether tests may steer it
 */
export function createServer(deployment, { control }) {
  const server = http.createServer({ keepAliveTimeout: KEEP_ALIVE }, (request, response) => {
    const exchange = { request, url: new URL(request.url, "http://deployment"), deployment };
    const answering = control && isControl(exchange) ? answerFrom(CONTROL_ROUTES, exchange) : answer(exchange);
    answering.then((body) => send(response, 200, body)).catch((error) => sendError(response, error));
  });
  return server;
}

async function answer(exchange) {
  const { url, request, deployment } = exchange;
  deployment.counts.route(url.pathname);
  await deployment.faults.strike(url.pathname, "before", request.socket);
  const body = await answerFrom(ROUTES, exchange);
  await deployment.faults.strike(url.pathname, "after", request.socket);
  return body;
}

async function answerFrom(routes, exchange) {
  const { url, request } = exchange;
  const methods = url.pathname.startsWith(RUN_PREFIX) ? { POST: runByUrl } : routes[url.pathname];
  if (methods === undefined) throw new HttpError(404, "NotFound", "No such route");
  const handler = methods[request.method];
  if (handler === undefined) throw new HttpError(405, "MethodNotAllowed", "No such method");
  return handler(exchange);
}

const isControl = ({ url }) => Object.hasOwn(CONTROL_ROUTES, url.pathname);

function send(response, status, body, headers = {}) {
  response.writeHead(status, {
    "content-type": contentType(body),
    "content-length": Buffer.byteLength(body),
    ...headers,
  });
  response.end(body);
}

const contentType = (body) => (body.startsWith("{") ? "application/json" : "text/plain");

function sendError(response, error) {
  if (error instanceof Dropped) return;
  if (error instanceof HttpError) {
    const headers = error.retryAfter === undefined ? {} : { "retry-after": String(error.retryAfter) };
    send(response, error.status, JSON.stringify({ code: error.code, message: error.message }), headers);
    return;
  }
  console.error(error);
  const message = "Your request couldn't be completed. Try again later.";
  send(response, 500, JSON.stringify({ code: "InternalServerError", message }));
}
