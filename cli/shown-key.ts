/** What a command shows to a service that asks who it is: an API key, or an access token. */
import { readFile } from "node:fs/promises";
import { ENV } from "../services/protocol/environment.ts";
import { CliError } from "./cli-error.ts";
import type { Cli } from "./cli.ts";

/** What `Authorization: Bearer` can carry (RFC 6750, section 2.1). */
const BEARER = /^[\w.~+/-]+=*$/;

/**
 * Answers it anew at each call, because tokens are short-lived: from `file` where a context names one, else from
 * MILLRACE_API_KEY; undefined when there is none. A file wins, so that no service gets a key that is another one's. Throws
 * `CliError`, which never holds what was found.
 */
export function shownKey(cli: Cli, file?: string): () => Promise<string | undefined> {
  return async () => {
    const text = file === undefined ? cli.environment[ENV.apiKey] : await read(file);
    const key = (text ?? "").trim();
    if (key === "" && file === undefined) return undefined;
    if (BEARER.test(key)) return key;
    const found = key === "" ? "nothing" : "characters that no key has";
    throw new CliError(`${file ?? ENV.apiKey}: found ${found}; put the API key alone there, as it was given to you`);
  };
}

async function read(file: string): Promise<string> {
  return readFile(file, "utf8").catch((error: unknown) => {
    const why = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new CliError(`${file} cannot be read (${why}); put your API key there, or name another file`);
  });
}
