/** One call of `millrace`, from its arguments to its exit code. */
import { CommanderError } from "commander";
import { Problem } from "../services/protocol/problems.ts";
import { CLI_EXIT } from "../services/protocol/exit-codes.ts";
import { CliError } from "./cli-error.ts";
import type { Cli } from "./cli.ts";
import { problemError } from "./client.ts";
import { paintFor } from "./paint.ts";
import { buildProgram } from "./program.ts";

/** Never rejects for what a user did; throws what nobody expected. */
export async function runCli(cli: Cli, args: readonly string[]): Promise<number> {
  let code: number = CLI_EXIT.ok;
  const program = buildProgram(cli, (ended) => {
    code = ended;
  });
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => {
        cli.out.write(text);
      },
      writeErr: (text) => {
        cli.err.write(text);
      },
    });
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? CLI_EXIT.ok : CLI_EXIT.usage;
    const known = error instanceof Problem ? problemError({ ...error.toJSON() }) : error;
    if (!(known instanceof CliError)) throw error;
    tellError(cli, known, asksForJson(args));
    return known.exitCode;
  }
}

function tellError(cli: Cli, error: CliError, json: boolean): void {
  if (json) cli.err.write(`${JSON.stringify({ error: { message: error.message, exit_code: error.exitCode } })}\n`);
  else cli.err.write(`${paintFor(cli.err, cli.environment)("red", "error:")} ${error.message}\n`);
}

function asksForJson(args: readonly string[]): boolean {
  return args.includes("--output=json") || args.some((arg, at) => arg === "--output" && args[at + 1] === "json");
}
