/** Who is let in at the doors, and why others are not. */
import type { Scope } from "../../protocol/auth.ts";
import type { Fault } from "../../protocol/problems.ts";

/** What a request says of who sends it. */
export interface Caller {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Address of whoever holds the other end of the connection; behind a balancer that is the balancer. */
  readonly peer: string;
}

/** Why somebody is not let in: the values of a metric's label. */
export type Refusal =
  "no_credentials" | "unknown_key" | "bad_token" | "expired_token" | "other_network" | "scope_missing";

export type Admission =
  | {
      readonly kind: "admitted";
      /** Who it is: each has idempotency keys of its own. */
      readonly principal: string;
      readonly scopes: readonly Scope[];
    }
  /** The fault never holds what the caller sent. */
  | { readonly kind: "refused"; readonly why: Exclude<Refusal, "scope_missing">; readonly fault: Fault }
  /** Nobody can be judged now: what is needed for that does not answer. */
  | { readonly kind: "unwell"; readonly cause: Error };

/** Tells who asks. */
export interface Authenticator {
  /** What /openapi.json says of it. */
  readonly schemes: Readonly<Record<string, OpenApiScheme>>;
  admit(caller: Caller): Admission | Promise<Admission>;
}

/** A security scheme of OpenAPI 3.1. */
export type OpenApiScheme =
  | {
      readonly type: "http";
      readonly scheme: "bearer";
      readonly bearerFormat?: string;
      readonly description: string;
    }
  | { readonly type: "apiKey"; readonly in: "header"; readonly name: string; readonly description: string };

/** Everybody who reaches doors on loopback is their user. */
export const LOCAL_PRINCIPAL = "local";

/** For doors on loopback only. */
export const LOOPBACK_CALLERS: Authenticator = {
  schemes: {},
  admit: () => ({ kind: "admitted", principal: LOCAL_PRINCIPAL, scopes: ["admin"] }),
};

const BEARER = /^Bearer +([\w.~+/-]+=*) *$/i;

/** What stands in `Authorization: Bearer …`; undefined when nothing does. */
export function bearerOf({ headers }: Caller): string | undefined {
  const { authorization } = headers;
  return typeof authorization === "string" ? BEARER.exec(authorization)?.[1] : undefined;
}
