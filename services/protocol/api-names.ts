import { LIMITS } from "./limits.ts";
import type { Fault } from "./problems.ts";

/** First words of the doors' own addresses: an API of such a name could not be reached at `/{api}`. */
const RESERVED_API_NAMES: ReadonlySet<string> = new Set([
  "v1",
  "batch",
  "health",
  "metrics",
  "openapi",
  "console",
  "assets",
  "docs",
  "deploy",
  "get",
  "delete",
  "refresh",
  "patch",
  "logs",
  "streamlogs",
  "info",
  "verifycortex",
]);

export function isReservedApiName(name: string): boolean {
  return RESERVED_API_NAMES.has(name);
}

/** What is wrong with an API's name; undefined: nothing. Reserved names are judged by `isReservedApiName`. */
export function apiNameFault(name: string, field = "name"): Fault | undefined {
  if (name.length > LIMITS.apiNameCharactersMax) {
    const fix = `shorten it to ${String(LIMITS.apiNameCharactersMax)} characters`;
    return { field, found: `${String(name.length)} characters`, fix };
  }
  if (!/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(name) || name.startsWith("b-")) {
    const fix = 'use a-z, 0-9 and "-", begin with a letter (but not with "b-"), end with a letter or digit';
    return { field, found: name === "" ? "an empty text" : "characters that no API name has", fix };
  }
  return undefined;
}
