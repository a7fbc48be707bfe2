// Serves the HTTP interface of a Supabase project on 127.0.0.1, on a database that has Supabase's roles.
//
//   node main.mjs SETTINGS.json
//
// The settings are {databaseUrl, port, anonKey, serviceKey, jwtSecret, maxRows}. It listens once it can answer.

import { readFileSync } from "node:fs";
import http from "node:http";

import { serve } from "@hono/node-server";
import postgres from "postgres";

import { Project } from "./project.mjs";

const settings = JSON.parse(readFileSync(process.argv[2], "utf8"));
const project = new Project(settings);

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(0));
await project.start();
await listenForChanges();
serve({ port: settings.port, hostname: "127.0.0.1", fetch: answer, createServer: http.createServer });

/** As PostgREST does: `notify pgrst, 'reload schema'` has the database read anew. */
async function listenForChanges() {
  const listener = postgres(settings.databaseUrl, { max: 1, onnotice: () => {} });
  await listener.listen("pgrst", async (what) => {
    if (what === "reload schema" || what === "") await project.reload();
  });
}

async function answer(request, { incoming }) {
  if (new URL(request.url).pathname === "/__reload") {
    await project.reload();
    return new Response(null, { status: 204 });
  }
  return project.fetch(request, { peerAddress: incoming.socket.remoteAddress ?? null });
}
