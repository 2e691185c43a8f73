/** `npm run demo [-- FOLDER]` */
import { readFileSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { dirname } from "node:path";
import { CLI_EXIT } from "../services/protocol/exit-codes.ts";
import { CliError } from "./cli-error.ts";
import { demo } from "./demo/demo-job.ts";
import { processCli, tellCrash } from "./process-cli.ts";

enableCompileCache();

const repository = dirname(import.meta.dirname);
const { version } = JSON.parse(readFileSync(`${repository}/package.json`, "utf8")) as { version: string };
const exit = (code: number): never => process.exit(code);
const cli = processCli({ environment: process.env, exit, version });

function crash(error: unknown): never {
  if (error instanceof CliError) {
    cli.err.write(`error: ${error.message}\n`);
    return exit(error.exitCode);
  }
  tellCrash(cli, error);
  return exit(CLI_EXIT.failed);
}

process.on("uncaughtException", crash);
process.on("unhandledRejection", crash);
try {
  const [given] = process.argv.slice(2);
  const code = await demo(cli, repository, given);
  await Promise.all([cli.out.flushed(), cli.err.flushed()]);
  exit(code);
} catch (error) {
  crash(error);
}
