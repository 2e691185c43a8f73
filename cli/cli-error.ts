import { CLI_EXIT } from "../services/protocol/exit-codes.ts";

/** How a command ends that does not do what was asked. The message says what was found and the fix, for a person. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exitCode: number;

  constructor(message: string, exitCode: number = CLI_EXIT.usage, cause?: unknown) {
    super(message, { cause });
    this.exitCode = exitCode;
  }
}
