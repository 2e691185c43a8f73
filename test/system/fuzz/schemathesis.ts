/** Schemathesis against a running service: requests generated from its OpenAPI document, answers checked by it. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

const PROGRAM = join(import.meta.dirname, "../../../.venv/bin/schemathesis");
const CHECKS =
  "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method";

export interface SchemathesisRun {
  readonly address: string;
  /** A folder for its settings. */
  readonly folder: string;
  readonly seed: number;
  /** Requests of each operation, at most. */
  readonly examples: number;
  /** Values of path parameters; without them they are generated, too. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Sent with each request, such as a key. */
  readonly headers?: readonly string[];
  /** A file with the document; default: what the address gives out. */
  readonly document?: string;
  /** Default: all that hold for whoever may do what is asked. */
  readonly checks?: string;
  /** Methods that are left alone. */
  readonly without?: readonly string[];
}

/** Its exit code, and what it said. */
export async function schemathesis(run: SchemathesisRun): Promise<{ readonly code: number; readonly said: string }> {
  const settings = join(run.folder, "schemathesis.toml");
  const lines = Object.entries(run.parameters ?? {}).map(([name, value]) => `"path.${name}" = "${value}"`);
  await writeFile(settings, `[parameters]\n${lines.join("\n")}\n`);
  const args = [
    ...["--config-file", settings, "run", run.document ?? `${run.address}/openapi.json`, "--url", run.address],
    ...["--checks", run.checks ?? CHECKS, ...(run.headers ?? []).flatMap((header) => ["--header", header])],
    ...["--phases", "examples,fuzzing", "--max-examples", String(run.examples), "--seed", String(run.seed)],
    ...[
      "--generation-database",
      "none",
      "--request-timeout",
      "20",
      "--no-color",
      "--continue-on-failure",
      "--no-shrink",
    ],
    ...["--suppress-health-check", "all", "--warnings", "off"],
    ...(run.without ?? []).flatMap((method) => ["--exclude-method", method]),
  ];
  return new Promise((resolve) => {
    execFile(PROGRAM, args, { cwd: run.folder, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      resolve({ code, said: stdout + stderr });
    });
  });
}
