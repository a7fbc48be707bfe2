// Serves a folder of Convex functions on 127.0.0.1 as a deployment does over HTTP, with documents kept in memory
// and, if asked for, in a file, which the next process begins with, however this one ends.
//
//   node main.mjs --functions DIR --deploy-key 'dev:name|secret' [--port N] [--env NAME=VALUE]... [--prod] [--control]
//                [--data FILE]
//
// Once it answers it prints the line `ready {"url": "http://127.0.0.1:N"}`.

import { parseArgs } from "node:util";

import { Authenticator } from "./auth.mjs";
import { loadFunctions } from "./bundle.mjs";
import { Counts } from "./counts.mjs";
import { Faults } from "./faults.mjs";
import { Functions } from "./functions.mjs";
import { createServer } from "./http/server.mjs";

const { values: options } = parseArgs({
  options: {
    functions: { type: "string" },
    "deploy-key": { type: "string" },
    port: { type: "string", default: "0" }, // any that is free
    env: { type: "string", multiple: true, default: [] }, // what functions find in process.env
    prod: { type: "boolean", default: false }, // hide messages and logs of functions
    control: { type: "boolean", default: false }, // let tests steer it
    data: { type: "string" }, // the file that keeps the documents
    attached: { type: "boolean", default: false }, // end with the standard input
  },
});

endWhenAsked();
setEnvironment(options.env);
await serve();

function endWhenAsked() {
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(0));
  if (options.attached) process.stdin.on("end", () => process.exit(0)).resume();
}

function setEnvironment(assignments) {
  for (const assignment of assignments) {
    const [, name, value] = /^(\w+)=(.*)$/s.exec(assignment) ?? [];
    if (name === undefined) throw new Error("--env takes NAME=VALUE");
    process.env[name] = value;
  }
}

async function serve() {
  const deployKey = options["deploy-key"];
  const { modules, schema, providers } = await loadFunctions(options.functions);
  const functions = new Functions(modules, schema, options.prod, options.data);
  await functions.start();
  const deployment = {
    name: deployKey.replace(/^[^|:]*:/, "").split("|")[0],
    functions,
    authenticator: new Authenticator(providers, deployKey),
    faults: new Faults(),
    counts: new Counts(),
  };
  const server = createServer(deployment, { control: options.control });
  server.listen(Number(options.port), "127.0.0.1", () => {
    const url = `http://127.0.0.1:${server.address().port}`;
    process.stdout.write(`ready ${JSON.stringify({ url })}\n`);
  });
}
