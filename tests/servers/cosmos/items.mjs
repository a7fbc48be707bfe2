// The items of one container, with the rules of Cosmos DB: partition keys, etags, sizes, ids and the time to live.

import { randomUUID } from "node:crypto";

import { badRequest, conflict, notFound, tooLarge, unmatched } from "./errors.mjs";

const LARGEST = 2 * 1024 * 1024; // bytes of one item, and of one request
const LONGEST_ID = 1023; // bytes
const NOT_IN_IDS = /[/\\?#]/;
const LONGEST_TTL = 2 ** 31 - 1;

const seconds = () => Math.floor(Date.now() / 1000);

export class Items {
  /** @param {object} container its definition */
  constructor(container) {
    this.container = container;
    this.partitions = new Map();
    this.written = 0;
  }

  /** The items of a partition, in the order in which they were created. */
  all(partition) {
    const held = this.partitions.get(JSON.stringify(partition)) ?? new Map();
    for (const [id, item] of held) if (this.#isPast(item)) held.delete(id);
    return [...held.values()];
  }

  /** The items of all partitions. */
  every() {
    return [...this.partitions.keys()].flatMap((partition) => this.all(JSON.parse(partition)));
  }

  read(partition, id) {
    const item = this.#find(partition, id);
    if (item === undefined) throw notFound();
    return item;
  }

  create(partition, body) {
    this.#check(partition, body);
    if (this.#find(partition, body.id) !== undefined) throw conflict();
    return this.#write(partition, body);
  }

  upsert(partition, body, ifMatch) {
    this.#check(partition, body);
    const present = this.#find(partition, body.id);
    if (ifMatch !== undefined && present?._etag !== ifMatch) throw unmatched();
    return this.#write(partition, body);
  }

  replace(partition, id, body, ifMatch) {
    this.#check(partition, body);
    if (body.id !== id) throw badRequest("The id of an item cannot be changed.");
    this.#match(this.read(partition, id), ifMatch);
    return this.#write(partition, body);
  }

  delete(partition, id, ifMatch) {
    this.#match(this.read(partition, id), ifMatch);
    this.partitions.get(JSON.stringify(partition)).delete(id);
  }

  /** Does the work on a partition; if it fails, the partition is as it was. */
  atomically(partition, work) {
    const name = JSON.stringify(partition);
    const before = new Map(this.partitions.get(name));
    try {
      return work();
    } catch (error) {
      this.partitions.set(name, before);
      throw error;
    }
  }

  #find(partition, id) {
    const item = this.partitions.get(JSON.stringify(partition))?.get(id);
    return item === undefined || this.#isPast(item) ? undefined : item;
  }

  #write(partition, body) {
    const name = JSON.stringify(partition);
    if (!this.partitions.has(name)) this.partitions.set(name, new Map());
    const held = this.partitions.get(name);
    const _rid = held.get(body.id)?._rid ?? String((this.written += 1)).padStart(12, "0");
    const item = { ...body, _rid, _etag: `"${randomUUID()}"`, _ts: seconds() };
    held.set(body.id, item);
    return item;
  }

  #match(item, ifMatch) {
    if (ifMatch !== undefined && ifMatch !== "*" && item._etag !== ifMatch) throw unmatched();
  }

  #isPast({ ttl, _ts }) {
    const { defaultTtl } = this.container;
    if (defaultTtl === undefined || defaultTtl === null) return false;
    const lives = ttl ?? defaultTtl;
    return lives > 0 && _ts + lives <= seconds();
  }

  #check(partition, body) {
    checkId(body?.id);
    if (Buffer.byteLength(JSON.stringify(body)) > LARGEST) throw tooLarge();
    const own = this.container.partitionKey.paths.map((path) => valueAt(body, path));
    if (JSON.stringify(own) !== JSON.stringify(partition)) {
      throw badRequest("PartitionKey extracted from document doesn't match the one specified in the header.");
    }
    const { ttl } = body;
    if (ttl !== undefined && ttl !== -1 && !(Number.isInteger(ttl) && ttl > 0 && ttl <= LONGEST_TTL)) {
      throw badRequest("The input ttl is invalid. Ensure to provide a nonzero positive integer, or -1.");
    }
  }
}

function checkId(id) {
  if (typeof id !== "string" || id === "" || NOT_IN_IDS.test(id) || Buffer.byteLength(id) > LONGEST_ID) {
    throw badRequest("The id of an item must be text of at most 1023 bytes without / \\ ? and #.");
  }
}

/** The value at a path such as `/a/b`. */
export const valueAt = (item, path) =>
  path.slice(1).split("/").reduce((found, name) => found?.[name], item);
