#!/usr/bin/env node
// `npx millrace` in a clone, on any Node from 20 on: goes on with the Node that npm installed here, which runs TypeScript as it is.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const node = join(root, "node_modules", ".bin", "node");
if (!existsSync(node)) {
  process.stderr.write(`millrace: ${node} is missing; run \`npm install\` in ${root}, or \`npm run millrace\` there\n`);
  process.exit(1);
}
const child = spawn(node, [join(root, "cli", "main.ts"), ...process.argv.slice(2)], { stdio: "inherit" });
// Ctrl-C reaches the child from the terminal itself; this process only has to outlive it, to hand on how it ended.
process.on("SIGINT", () => undefined);
for (const signal of /** @type {const} */ (["SIGTERM", "SIGHUP"])) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => {
  process.exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
});
