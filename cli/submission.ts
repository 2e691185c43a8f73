/** The body of a submission, from options. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parseConfig } from "./config-option.ts";
import { CliError } from "./cli-error.ts";
import type { Cli } from "./cli.ts";
import { readInputs, type InputKind, type Inputs } from "./inputs.ts";

export interface ChangeOptions {
  readonly workers?: number;
  readonly batchSize?: number;
  readonly config?: string;
  readonly timeout?: number;
  readonly attempts?: number;
  readonly batchTimeout?: number;
  readonly priority?: number;
  readonly label?: readonly string[];
}

export interface JobOptions extends ChangeOptions {
  readonly as?: InputKind;
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
}

export interface SubmissionBody {
  readonly body: Buffer;
  readonly inputs: Inputs;
}

/** Throws `CliError`; what only the service can judge is left to it. */
export async function submissionOf(cli: Cli, inputs: readonly string[], options: JobOptions): Promise<SubmissionBody> {
  const read = await readInputs(inputs, options.as, cli.folder);
  const text = JSON.stringify(await changesOf(cli, options)).slice(1, -1);
  const body = Buffer.from(`{${text}${text === "" ? "" : ","}${sourceText(read, options)}}`);
  return { body, inputs: read };
}

/** What a job is told beside its input, by the names of the body's fields. Throws `CliError`. */
export async function changesOf(cli: Cli, options: ChangeOptions): Promise<Record<string, unknown>> {
  return {
    workers: options.workers,
    config: options.config === undefined ? undefined : await parseConfig(options.config, cli.folder),
    timeout: options.timeout,
    attempts: options.attempts,
    batch_timeout: options.batchTimeout,
    priority: options.priority,
    labels: labelsOf(options.label ?? []),
  };
}

/** Items go as they were written: parsing them would rewrite their numbers. */
function sourceText({ kind, values }: Inputs, { batchSize, include = [], exclude = [] }: JobOptions): string {
  const size = batchSize === undefined ? "" : `,"batch_size":${String(batchSize)}`;
  if (kind === "items") {
    if (include.length + exclude.length > 0) throw new CliError("--include and --exclude choose files; remove them");
    return `"item_list":{"items":[${values.join(",")}]${size}}`;
  }
  const globs = {
    ...(include.length > 0 ? { includes: include } : {}),
    ...(exclude.length > 0 ? { excludes: exclude } : {}),
  };
  const rest = JSON.stringify({ paths: values, ...globs }).slice(1, -1);
  return `"${kind === "files" ? "file_path_lister" : "delimited_files"}":{${rest}${size}}`;
}

function labelsOf(labels: readonly string[]): Record<string, string> | undefined {
  if (labels.length === 0) return undefined;
  return Object.fromEntries(
    labels.map((label) => {
      const at = label.indexOf("=");
      if (at < 1) throw new CliError(`--label: found "${label}"; give NAME=VALUE`);
      return [label.slice(0, at), label.slice(at + 1)];
    }),
  );
}

/** The bytes of `--body FILE`; `-` is stdin. */
export async function readBody(cli: Cli, file: string): Promise<Buffer> {
  if (file === "-") return cli.input();
  return readFile(resolve(cli.folder, file)).catch((error: unknown) => {
    throw new CliError(`--body: ${file} cannot be read (${codeOf(error)}); name a JSON file, or - for stdin`);
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
