// Turns a folder of Convex functions, TypeScript or JavaScript, into modules of this process.

import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";

import { build } from "esbuild";

const SOURCE = /\.(ts|tsx|mts|js|jsx|mjs)$/;
const NOT_DEPLOYED = /\.d\.[cm]?ts$|\.test\.|(?<!auth)\.config\.|(^|\/)node_modules\//;

/** Packages are those of this server, for every folder, so that there is one copy of Convex' classes. */
const packagesOfThisServer = {
  name: "packages-of-this-server",
  setup(bundler) {
    bundler.onResolve({ filter: /^[^./]/ }, ({ path: name, kind }) =>
      kind === "entry-point" ? undefined : { path: import.meta.resolve(name), external: true },
    );
  },
};

/**
 * Load a folder of functions.
 *
 * @param {string} folder
 * @returns {Promise<{modules: Map<string, object>, schema: object | undefined, providers: object[]}>} the exports of
 *   each module by its path without extension, such as `molecules` or `lib/records`; the schema, if one is declared;
 *   the providers of identities
 */
export async function loadFunctions(folder) {
  const root = path.resolve(folder);
  const sources = await sourcesIn(root);
  const output = await fs.mkdtemp(path.join(os.tmpdir(), "isthmus-convex-"));
  try {
    await compile(root, sources, output);
    const modules = await importAll(root, sources, output);
    return {
      modules,
      schema: modules.get("schema")?.default,
      providers: modules.get("auth.config")?.default?.providers ?? [],
    };
  } finally {
    await fs.rm(output, { recursive: true });
  }
}

async function sourcesIn(root) {
  const files = await fs.readdir(root, { recursive: true });
  return files.filter((file) => SOURCE.test(file) && !NOT_DEPLOYED.test(file)).sort();
}

function compile(root, sources, output) {
  return build({
    entryPoints: sources.map((file) => path.join(root, file)),
    outbase: root,
    outdir: output,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    sourcemap: "inline",
    logLevel: "error",
    plugins: [packagesOfThisServer],
  });
}

async function importAll(root, sources, output) {
  const modules = new Map();
  for (const file of sources) {
    const name = file.replace(SOURCE, "");
    modules.set(name, await import(pathToFileURL(path.join(output, `${name}.mjs`))));
  }
  return modules;
}
