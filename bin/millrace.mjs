#!/usr/bin/env node
// `npx millrace`, in a clone or where the package is installed, on any Node from 20 on: goes on with the Node that npm installed
// beside it. A clone runs TypeScript as it is; the package holds JavaScript, because Node strips no types under node_modules.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const NODE_MAJOR = 24;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const main = [join(root, "cli", "main.ts"), join(root, "dist", "cli", "main.js")].find((path) => existsSync(path));
const node = fromNpm() ?? (Number.parseInt(process.versions.node, 10) >= NODE_MAJOR ? process.execPath : undefined);

/** @returns {string | undefined} */
function fromNpm() {
  try {
    const binary = join(dirname(createRequire(import.meta.url).resolve("node/package.json")), "bin", "node");
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined; // the package `node` is not there at all
  }
}

/**
 * @param {string} why
 * @returns {never}
 */
function refuse(why) {
  process.stderr.write(`millrace: ${why}\n`);
  process.exit(1);
}

if (main === undefined) refuse(`${root} has lost its files; install the package again`);
if (node === undefined) {
  refuse(
    `this is Node ${process.versions.node}, and Millrace runs on Node ${String(NODE_MAJOR)} or newer. npm brings one in the package ` +
      "`node`, whose install script has not run: run `npm rebuild node` (npm may want that script approved first), or start " +
      "this with a newer Node",
  );
}
const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: "inherit" });
// Ctrl-C reaches the child from the terminal itself; this process only has to outlive it, to hand on how it ended.
process.on("SIGINT", () => undefined);
for (const signal of /** @type {const} */ (["SIGTERM", "SIGHUP"])) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => {
  process.exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
});
