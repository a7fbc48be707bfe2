// Transactional batches: all operations on one partition, or none of them.

import { badRequest, Refused } from "./errors.mjs";

const MOST = 100; // operations of one batch

/** The answers of a batch, one for each operation; 424 for those that were not the reason why it failed. */
export function runBatch(items, partition, operations) {
  if (!Array.isArray(operations) || operations.length === 0) throw badRequest("The batch has no operations.");
  if (operations.length > MOST) {
    throw badRequest("Batch request has more operations than what is supported.");
  }
  let at = 0;
  try {
    return items.atomically(partition, () =>
      operations.map((operation, index) => {
        at = index;
        return run(items, partition, operation);
      }),
    );
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return operations.map((_, index) => ({ statusCode: index === at ? error.status : 424, requestCharge: 0 }));
  }
}

function run(items, partition, { operationType, id, resourceBody, ifMatch }) {
  switch (operationType) {
    case "Create":
      return done(201, items.create(partition, resourceBody));
    case "Upsert":
      return done(200, items.upsert(partition, resourceBody, ifMatch));
    case "Replace":
      return done(200, items.replace(partition, id, resourceBody, ifMatch));
    case "Read":
      return done(200, items.read(partition, id));
    case "Delete":
      items.delete(partition, id, ifMatch);
      return { statusCode: 204, requestCharge: 1 };
    default:
      throw badRequest(`The operation ${operationType} is not one of a batch.`);
  }
}

const done = (statusCode, item) => ({ statusCode, requestCharge: 1, eTag: item._etag, resourceBody: item });
