/**
 * How the doors tell who asks. The envelope's owner chooses it; it reaches the service as JSON in one environment variable
 * (`ENV.auth`), so that one side alone cannot be changed.
 */
import { Fields, found } from "./fields.ts";
import { LIMITS } from "./limits.ts";
import { networkFault } from "./networks.ts";
import type { Fault } from "./problems.ts";

/** What a caller may do; each includes those before it. */
export const SCOPES = ["read", "submit", "admin"] as const;
/**
 * `read`: look at APIs, jobs, results and logs. `submit`: also start jobs, stop and retry them. `admin`: also deploy and
 * remove APIs.
 */
export type Scope = (typeof SCOPES)[number];

/** Whether one of these scopes is the needed one, or includes it. */
export function mayAct(held: readonly Scope[], needed: Scope): boolean {
  return held.some((scope) => SCOPES.indexOf(scope) >= SCOPES.indexOf(needed));
}

/**
 * - `none`: no check; the doors listen on loopback only, whose callers are the user's own.
 * - `apiKeys`: static keys; their hashes stand in a file (`ENV.apiKeysFile`), which is read again when it changes.
 * - `jwt`: access tokens that an OpenID Connect issuer signs.
 * - `network`: whoever calls from these networks, unasked: for clients that cannot send a key. Not for the internet.
 */
export type AuthConfig = { readonly kind: "none" } | { readonly kind: "apiKeys" } | JwtAuthConfig | NetworkAuthConfig;

export interface JwtAuthConfig {
  readonly kind: "jwt";
  /** `iss` of its tokens, character by character; https. Example: "https://login.acme.example/". */
  readonly issuer: string;
  /** One of a token's `aud` must be this. Example: "millrace". */
  readonly audience: string;
  /** Where the issuer's public keys are, https. Default: `jwks_uri` of its /.well-known/openid-configuration. */
  readonly jwksUrl?: string;
}

export interface NetworkAuthConfig {
  readonly kind: "network";
  /**
   * 1 to 64 networks, such as "10.0.0.0/16": of whom the service sees as its peer, which behind a balancer is the balancer.
   * X-Forwarded-For is never believed. /0 is refused.
   */
  readonly cidrs: readonly string[];
  /** What everybody there may do; default submit, so that deploying asks for a decision. */
  readonly scope?: Scope;
}

/** What the `network` kind allows where it does not say. */
export const NETWORK_SCOPE_DEFAULT: Scope = "submit";

const KINDS = ["none", "apiKeys", "jwt", "network"] as const;
const TEXT_CHARACTERS_MAX = 2_048;

/** The value of `ENV.auth`. */
export function encodeAuth(config: AuthConfig): string {
  return JSON.stringify(config);
}

/**
 * Reads a value of `ENV.auth`; every fault goes to `faults`, with `path` before the names of fields. Answers `none` where
 * nothing is said, and where there are faults.
 */
export function decodeAuth(text: string, path: string, faults: Fault[]): AuthConfig {
  if (text === "") return { kind: "none" };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    faults.push({ field: path, found: "text that is no JSON", fix: 'write an object such as {"kind": "apiKeys"}' });
    return { kind: "none" };
  }
  return readAuth(value, path, faults);
}

/** The same of a value that is already parsed, such as a component's argument. */
export function readAuth(value: unknown, path: string, faults: Fault[]): AuthConfig {
  const before = faults.length;
  const fields = new Fields(value, path, faults);
  if (faults.length > before) return { kind: "none" };
  const config = readKind(fields);
  return faults.length > before || config === undefined ? { kind: "none" } : config;
}

function readKind(fields: Fields): AuthConfig | undefined {
  const kind = fields.oneOf("kind", KINDS);
  if (kind === undefined) {
    if (fields.raw("kind") === undefined) fields.fault("kind", "nothing", `write one of ${KINDS.join(", ")}`);
    return undefined; // which fields there may be depends on it
  }
  const config = readFields(kind, fields);
  fields.end();
  return config;
}

function readFields(kind: AuthConfig["kind"], fields: Fields): AuthConfig {
  switch (kind) {
    case "none":
    case "apiKeys":
      return { kind };
    case "jwt": {
      const jwksUrl = fields.raw("jwksUrl") === undefined ? undefined : readUrl(fields, "jwksUrl");
      return {
        kind,
        issuer: readUrl(fields, "issuer"),
        audience: readText(fields, "audience", "write what stands in the tokens' aud, such as millrace"),
        ...(jwksUrl === undefined ? {} : { jwksUrl }),
      };
    }
    case "network": {
      const scope = fields.oneOf("scope", SCOPES);
      return { kind, cidrs: readCidrs(fields), ...(scope === undefined ? {} : { scope }) };
    }
  }
}

function readText(fields: Fields, name: string, fix: string): string {
  if (fields.raw(name) === undefined) fields.fault(name, "nothing", fix);
  const text = fields.text(name) ?? "";
  if (text.length <= TEXT_CHARACTERS_MAX) return text;
  fields.fault(name, `${String(text.length)} characters`, `write at most ${String(TEXT_CHARACTERS_MAX)}`);
  return "";
}

/** Keys that came in the clear could be anybody's; on this machine nobody stands between. */
function readUrl(fields: Fields, name: string): string {
  const text = readText(fields, name, "write an address that begins with https://");
  if (text === "") return "";
  const url = URL.parse(text);
  const local = url?.protocol === "http:" && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url !== null && (url.protocol === "https:" || local) && url.username === "" && url.password === "") return text;
  fields.fault(name, found(text), "write an address that begins with https://, without user and password");
  return "";
}

function readCidrs(fields: Fields): readonly string[] {
  const value = fields.raw("cidrs");
  const fix = `write a list of 1 to ${String(LIMITS.networksMax)} networks, such as ["10.0.0.0/16"]`;
  if (!Array.isArray(value) || value.length === 0 || value.length > LIMITS.networksMax) {
    fields.fault("cidrs", found(value), fix);
    return [];
  }
  const cidrs: readonly unknown[] = value;
  for (const [at, cidr] of cidrs.entries()) {
    const fault = networkFault(cidr);
    if (fault !== undefined) fields.fault(`cidrs[${String(at)}]`, fault.found, fault.fix);
  }
  return cidrs as readonly string[];
}
