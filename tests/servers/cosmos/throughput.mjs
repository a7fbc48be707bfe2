// The throughput that a new database or container asks for: a fixed one, or one that grows up to a maximum.

import { badRequest } from "./errors.mjs";

const FIXED = "x-ms-offer-throughput";
const GROWING = "x-ms-cosmos-offer-autopilot-settings";
const STEP = 1000; // request units per second: the least maximum, and the step between two

/** What a request asks for, as its headers say it. */
export function throughputOf({ headers }) {
  return { fixed: headers[FIXED] ?? null, growing: headers[GROWING] ?? null };
}

/** Refuses what Cosmos DB refuses. */
export function checkThroughput(request) {
  const { fixed, growing } = throughputOf(request);
  if (growing === null) return;
  if (fixed !== null) throw badRequest("Cannot set both a throughput and autopilot settings.");
  if (!isMaximum(growing)) {
    throw badRequest("The maximum throughput of autoscale must be a multiple of 1000, and 1000 at least.");
  }
}

function isMaximum(text) {
  try {
    const { maxThroughput, ...others } = JSON.parse(text);
    return Number.isInteger(maxThroughput) && maxThroughput >= STEP && maxThroughput % STEP === 0 && Object.keys(others).length === 0;
  } catch {
    return false;
  }
}
