// One project: @supabase/lite on a database, read anew when the database's tables or functions have changed.

import { App } from "@supabase/lite";
import { PostgresConnection } from "@supabase/lite/postgres";

import { translated } from "./errors.mjs";
import { keyResolver } from "./keys.mjs";
import { types, unmark, withQuotedIntegers } from "./values.mjs";

class Connection extends PostgresConnection {
  normalizeDbError(error) {
    return translated(super.normalizeDbError(error));
  }

  // Every request has its role; lite would look for tables with row level security first, and then grant everything.
  async ensureRlsContext() {
    return true;
  }
}

/** What serves the requests between two changes of the database. */
class Generation {
  #requests = new Set();

  constructor(settings) {
    const postgresOptions = { types, max: 10, connect_timeout: 3, onnotice: () => {} };
    this.connection = new Connection({ url: settings.databaseUrl, postgresOptions });
    this.app = new App({ connection: this.connection, ...configuration(settings) });
  }

  async fetch(request, context) {
    const answer = this.#answer(request, context);
    this.#requests.add(answer);
    try {
      return await answer;
    } finally {
      this.#requests.delete(answer);
    }
  }

  async close() {
    await Promise.allSettled(this.#requests);
    await this.connection.close();
  }

  async #answer(request, context) {
    const response = await this.app.fetch(exactly(request), context);
    const isJson = response.headers.get("content-type")?.includes("json");
    if (!response.body || !isJson) return response;
    const headers = new Headers(response.headers);
    headers.delete("content-length"); // of the marked text
    return new Response(unmark(await response.text()), { status: response.status, headers });
  }
}

const exactly = (request) =>
  /\d{16}/.test(request.url) ? new Request(withQuotedIntegers(request.url), request) : request;

export class Project {
  #settings;
  #current;
  #reloading = Promise.resolve();

  constructor(settings) {
    this.#settings = settings;
  }

  async start() {
    this.#current = new Generation(this.#settings);
    await this.#current.app.ensureSystemSchema();
    await this.#current.app.init();
  }

  fetch(request, context) {
    return this.#current.fetch(request, context);
  }

  /** Read the database's tables and functions; resolves when requests are answered accordingly. */
  reload() {
    this.#reloading = this.#reloading.then(() => this.#replace());
    return this.#reloading;
  }

  async #replace() {
    const before = this.#current;
    const next = new Generation(this.#settings);
    await next.app.init();
    this.#current = next;
    before.close().catch((error) => process.stderr.write(`${error}\n`));
  }
}

const configuration = (settings) => ({
  api: { schemas: ["public"], max_rows: settings.maxRows },
  auth: {
    enabled: true,
    jwt_secret: settings.jwtSecret,
    jwt_expiry: 3600,
    enable_signup: true,
    publishable_key: settings.anonKey,
    secret_key: settings.serviceKey,
    email: { enable_confirmations: false },
  },
  options: { server: { admin: false, disableStudio: true, apiKeys: { resolver: keyResolver(settings) } } },
});
