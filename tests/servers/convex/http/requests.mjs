// Reading of HTTP requests.

import { badRequest } from "../errors.mjs";

const MAX_BODY = 2 ** 24 + 2000; // bytes
const JSON_TYPE = /^application\/([\w.-]+\+)?json\b/i;

/** The JSON object that a request carries. */
export async function readJson(request) {
  if (!JSON_TYPE.test(request.headers["content-type"] ?? "")) {
    throw badRequest("BadJsonBody", "Expected request with `Content-Type: application/json`");
  }
  const body = parseJson((await readBody(request)).toString());
  if (!isRecord(body)) throw badRequest("BadJsonBody", "Failed to deserialize the JSON body into the target type");
  return body;
}

export function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw badRequest("BadJsonBody", "Failed to parse the request body as JSON");
  }
}

/** The arguments of a function as an object; older clients send them in an array. */
export function argumentsOf({ args }) {
  const given = Array.isArray(args) ? (args[0] ?? {}) : args;
  if (!isRecord(given)) {
    throw badRequest("BadJsonBody", "Failed to deserialize the JSON body into the target type: args");
  }
  return given;
}

function isRecord(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readBody(request) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    let size = 0;
    request.on("data", (chunk) => {
      size += chunk.length;
      if (size <= MAX_BODY) chunks.push(chunk);
      else reject(badRequest("BadJsonBody", "Failed to buffer the request body: length limit exceeded"));
    });
    request.on("end", () => resolve(Buffer.concat(chunks)));
    request.on("error", reject);
  });
}
