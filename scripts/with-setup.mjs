// node scripts/with-setup.mjs <running|developing> -- <command…>: installs what is missing, then runs the command with Node from npm.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { purposes, setUp, toolsFirst } from "./setup.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [asked, dashes, command, ...args] = process.argv.slice(2);
const purpose = purposes.find((known) => known === asked);

if (purpose === undefined || dashes !== "--" || command === undefined) {
  process.stderr.write(`usage: node scripts/with-setup.mjs ${purposes.join("|")} -- COMMAND…\n`);
  process.exit(2);
}
try {
  setUp(root, purpose);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

const child = spawn(command, args, { cwd: root, env: toolsFirst(root, process.env), stdio: "inherit" });
// Ctrl-C reaches the child from the terminal itself; this process only has to outlive it, to hand on how it ended.
process.on("SIGINT", () => undefined);
for (const signal of /** @type {const} */ (["SIGTERM", "SIGHUP"])) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  process.stderr.write(`${command} did not start: ${error.message}\n`);
  process.exitCode = 1;
});
child.on("exit", (code, signal) => {
  process.exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
});
