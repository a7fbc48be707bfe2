// Where convex-test keeps the documents of a deployment. It looks at every document for every query, and forgets all of
// them when it ends; here they are found by table and by the first field of an index range, and kept in a file on request.

import { openSync, readFileSync, truncateSync, writeSync } from "node:fs";

import { convexToJson, jsonToConvex } from "convex/values";

/** What convex-test keeps the documents in. It gives it to nobody, but looks at all of its parts when a query begins. */
export async function storeOf(backend) {
  const { values } = Object;
  let store;
  Object.values = (object) => {
    const found = values(object);
    store ??= found.find((part) => part?.db?._documents)?.db;
    return found;
  };
  try {
    await backend.query(async () => null);
  } finally {
    Object.values = values;
  }
  return store;
}

/** The committed documents by table, and by the values of those fields that queries asked for. */
export class Documents {
  #tables = new Map();
  #asked;

  /** @param {object} store of convex-test; from now on it finds its documents here */
  constructor(store) {
    const { commit, _resolveQuerySource: resolve } = store;
    store.commit = (time = null) => {
      const written = store._writes.length === 1 ? Object.keys(store._writes[0]) : [];
      const before = written.map((id) => store._documents[id]);
      commit.call(store, time);
      written.forEach((id, place) => this.#replace(id, before[place], store._documents[id]));
      if (written.length) this.committed(written.map((id) => [id, store._documents[id] ?? null]));
    };
    store._resolveQuerySource = (query) => {
      this.#asked = query.source;
      try {
        return resolve.call(store, query);
      } finally {
        this.#asked = undefined;
      }
    };
    store._iterateDocs = (name, callback) => {
      const pending = store._writes.flatMap((layer) => Object.keys(layer).filter((id) => tableOf(id) === name));
      for (const id of new Set([...this.#candidates(name), ...pending])) {
        const document = store.get(name, id);
        if (document !== null) callback(document);
      }
    };
    this.store = store;
  }

  /** Called with `[id, document or null]` of what a transaction has written. */
  committed() {}

  /** Take what another process has committed: a document, or null for one that was deleted. */
  restore(id, document) {
    const { store } = this;
    const before = store._documents[id];
    if (document === null) delete store._documents[id];
    else store._documents[id] = document;
    this.#replace(id, before, store._documents[id]);
    store._nextDocId = Math.max(store._nextDocId, Number.parseInt(id, 10) + 1);
    store._lastCreationTime = Math.max(store._lastCreationTime, document?._creationTime ?? 0);
  }

  #table(name) {
    if (!this.#tables.has(name)) this.#tables.set(name, { ids: new Set(), fields: new Map() });
    return this.#tables.get(name);
  }

  #replace(id, before, after) {
    const { ids, fields } = this.#table(tableOf(id));
    if (after) ids.add(id);
    else ids.delete(id);
    for (const [field, known] of fields) {
      known.get(before?.[field])?.delete(id);
      if (after) add(known, after[field], id);
    }
  }

  /** The ids among which those of the documents are that the query asks for. */
  #candidates(name) {
    const { ids, fields } = this.#table(name);
    const [{ type, fieldPath: field, value: encoded } = {}] = this.#asked?.range ?? [];
    if (type !== "Eq" || field.includes(".") || encoded?.$undefined !== undefined) return ids;
    const value = jsonToConvex(encoded);
    if (typeof value !== "string" && typeof value !== "bigint") return ids;
    if (!fields.has(field)) {
      const known = new Map();
      for (const id of ids) add(known, this.store._documents[id][field], id);
      fields.set(field, known);
    }
    return fields.get(field).get(value) ?? [];
  }
}

/** Load documents from a file, a line for each transaction, and have every further one written to it. */
export function keepIn(path, documents) {
  const file = openSync(path, "a+");
  const text = readFileSync(path, "utf8");
  // A killed process may have left a part of a line, of a transaction that nobody was told of.
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  truncateSync(path, Buffer.byteLength(whole));
  for (const line of whole.split("\n").slice(0, -1)) {
    for (const [id, document] of JSON.parse(line)) documents.restore(id, document && jsonToConvex(document));
  }
  documents.committed = (written) => {
    writeSync(file, `${JSON.stringify(written.map(([id, document]) => [id, document && convexToJson(document)]))}\n`);
  };
}

function add(known, value, id) {
  if (!known.has(value)) known.set(value, new Set());
  known.get(value).add(id);
}

const tableOf = (id) => id.replace(/^\d+/, "");
