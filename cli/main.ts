/** The `millrace` command. */
import { readFileSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { CLI_EXIT } from "../services/protocol/exit-codes.ts";
import { processCli, tellCrash } from "./process-cli.ts";
import { runCli } from "./run-cli.ts";

enableCompileCache();

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};
const exit = (code: number): never => process.exit(code);
const cli = processCli({ environment: process.env, exit, version });

function crash(error: unknown): never {
  tellCrash(cli, error);
  return exit(CLI_EXIT.failed);
}

process.on("uncaughtException", crash);
process.on("unhandledRejection", crash);
try {
  const code = await runCli(cli, process.argv.slice(2));
  await Promise.all([cli.out.flushed(), cli.err.flushed()]);
  exit(code);
} catch (error) {
  crash(error);
}
