/** `millrace api-key`: a new key for the doors of a service, and the line that lets it in. Asks no service. */
import {
  API_KEY_BYTES,
  apiKeyHash,
  apiKeyNameFault,
  apiKeyOf,
  encodeApiKeyLine,
  isScope,
} from "../../services/protocol/api-keys.ts";
import { SCOPES, type Scope } from "../../services/protocol/auth.ts";
import { ENV } from "../../services/protocol/environment.ts";
import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import { nearestWord } from "../../services/protocol/nearest-word.ts";
import { CliError } from "../cli-error.ts";
import type { Cli } from "../cli.ts";
import type { CommonOptions } from "../common-options.ts";

export interface ApiKeyOptions extends CommonOptions {
  readonly scopes: string;
}

/** The key is shown this once and kept nowhere. */
export async function apiKey(cli: Cli, name: string, { output, scopes: text }: ApiKeyOptions): Promise<number> {
  const fault = apiKeyNameFault(name);
  if (fault !== undefined) throw new CliError(`NAME: found ${fault.found}; ${fault.fix}`);
  const scopes = scopesOf(text);
  const key = apiKeyOf(cli.random.hex(API_KEY_BYTES));
  const line = encodeApiKeyLine({ name, sha256: apiKeyHash(key), scopes });
  if (output === "json") cli.out.write(`${JSON.stringify({ key, line }, undefined, 2)}\n`);
  else {
    cli.out.write(`API key of ${name}, shown this once; clients have it in ${ENV.apiKey}:\n  ${key}\n`);
    cli.out.write(`its line, for auth.keys of a BatchApi, or for the file in ${ENV.apiKeysFile}:\n  ${line}\n`);
  }
  return CLI_EXIT.ok;
}

function scopesOf(text: string): readonly Scope[] {
  const words = [...new Set(text.split(",").map((word) => word.trim()))];
  return words.map((word) => {
    if (isScope(word)) return word;
    const near = nearestWord(word, SCOPES);
    const fix = near === undefined ? `write some of ${SCOPES.join(", ")}` : `write ${near} instead`;
    throw new CliError(`--scopes: found "${word}"; ${fix}`);
  });
}
