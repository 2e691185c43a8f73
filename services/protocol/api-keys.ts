/** Static keys of callers. A file holds their hashes, one JSON object a line; the keys themselves are nowhere but with them. */
import { createHash } from "node:crypto";
import { SCOPES, type Scope } from "./auth.ts";
import { FieldReader, isObject, kindOf } from "./field-reader.ts";
import { LIMITS } from "./limits.ts";
import type { Fault } from "./problems.ts";

/** One line of the file. Several lines may have one name: an old key and the one that follows it. */
export interface ApiKeyLine {
  /** Who uses it; part of the idempotency keys' scope. */
  readonly name: string;
  /** Lower-case hex of the key's SHA-256. Keys have 256 random bits, so that nothing slower is needed to hide them. */
  readonly sha256: string;
  readonly scopes: readonly Scope[];
}

/** Random bytes in a new key. */
export const API_KEY_BYTES = 32;
/** Tells scanners for leaked secrets what they have found. */
const API_KEY_PREFIX = "millrace_";
const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/;
const NAME_FIX = "give 1 to 63 letters, digits, '.', '_', '@' and '-', a letter or digit first";

/** A new key, of `API_KEY_BYTES` random bytes in hex. */
export function apiKeyOf(randomHex: string): string {
  return API_KEY_PREFIX + randomHex;
}

export function apiKeyHash(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

/** What is wrong with the name of a key's user; undefined: nothing. */
export function apiKeyNameFault(name: string): { readonly found: string; readonly fix: string } | undefined {
  return NAME.test(name) ? undefined : { found: "characters or a length that no name has", fix: NAME_FIX };
}

/** A line of the file, without its end. */
export function encodeApiKeyLine({ name, sha256, scopes }: ApiKeyLine): string {
  return JSON.stringify({ name, sha256, scopes });
}

/**
 * Reads the file's text. Empty lines count for nothing. Faults name line and field, and never quote: a key may stand where
 * its hash should.
 */
export function parseApiKeys(text: string): {
  readonly keys: readonly ApiKeyLine[];
  readonly faults: readonly Fault[];
} {
  const faults: Fault[] = [];
  const keys: ApiKeyLine[] = [];
  const seen = new Map<string, number>();
  for (const [at, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    if (faults.length >= LIMITS.faultsMax) break;
    const place = `line ${String(at + 1)}`;
    const key = readLine(line, place, faults);
    if (key === undefined) continue;
    const first = seen.get(key.sha256);
    if (first !== undefined) {
      faults.push({ field: place, found: `the key of line ${String(first)} again`, fix: "remove one of the two" });
    }
    seen.set(key.sha256, at + 1);
    keys.push(key);
  }
  if (keys.length > LIMITS.apiKeysMax) {
    const fix = `keep at most ${String(LIMITS.apiKeysMax)}`;
    faults.push({ field: "the file", found: `${String(keys.length)} keys`, fix });
  }
  return { keys, faults };
}

function readLine(line: string, place: string, faults: Fault[]): ApiKeyLine | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    value = undefined;
  }
  if (!isObject(value)) {
    const what = value === undefined ? "text that is no JSON" : kindOf(value);
    faults.push({ field: place, found: what, fix: "write the line that `millrace api-key NAME` prints" });
    return undefined;
  }
  const before = faults.length;
  const fields = new FieldReader(value, place, faults);
  const name = fields.text("name", 63) ?? "";
  const sha256 = fields.text("sha256", 64) ?? "";
  const scopes = fields.texts("scopes", { min: 1, max: SCOPES.length, charactersMax: 64 }) ?? [];
  fields.onlyKnown(["name", "sha256", "scopes"]);
  if (faults.length > before) return undefined;
  const nameFault = apiKeyNameFault(name);
  if (nameFault !== undefined) fields.fault("name", nameFault.found, nameFault.fix);
  if (!/^[0-9a-f]{64}$/.test(sha256)) {
    fields.fault("sha256", "a text that is no SHA-256", "write 64 lower-case hex digits: the hash, never the key");
  }
  if (!scopes.every(isScope)) {
    fields.fault("scopes", "a word that is no scope", `write some of ${SCOPES.join(", ")}`);
    return undefined;
  }
  return faults.length > before ? undefined : { name, sha256, scopes };
}

export function isScope(word: string): word is Scope {
  return SCOPES.some((scope) => scope === word);
}
