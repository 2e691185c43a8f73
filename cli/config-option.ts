/** `--config JSON|@file`. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { CliError } from "./cli-error.ts";

const FIX = "give a JSON object like '{\"top\": 5}', or @FILE that holds one";

/** Throws `CliError`. */
export async function parseConfig(given: string, folder: string): Promise<Readonly<Record<string, unknown>>> {
  const text = given.startsWith("@") ? await readConfigFile(resolve(folder, given.slice(1)), given) : given;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // V8's sentences may quote the text, which may hold what is secret: only the place is told.
    const place = error instanceof Error ? /position \d+/.exec(error.message)?.[0] : undefined;
    throw new CliError(`--config: found text that is not JSON${place === undefined ? "" : ` (at ${place})`}; ${FIX}`);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  const found = Array.isArray(value) ? "a list" : value === null ? "null" : `a ${typeof value}`;
  throw new CliError(`--config: found ${found}; ${FIX}`);
}

async function readConfigFile(path: string, given: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new CliError(`--config: ${given} cannot be read (${code}); name a file that holds a JSON object`);
  }
}
