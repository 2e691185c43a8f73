/** Access tokens (RFC 9068): who shows one that the issuer signed for this service is its subject. */
import { errors, type JWTPayload, jwtVerify, type JWTVerifyGetKey } from "jose";
import { isScope } from "../../protocol/api-keys.ts";
import type { Clock } from "../../backends/clock.ts";
import type { JwtAuthConfig, Scope } from "../../protocol/auth.ts";
import { type Admission, type Authenticator, bearerOf, type Caller } from "./admission.ts";
import { issuerKeys, IssuerUnwell } from "./issuer-keys.ts";

/** Asymmetric only: with a shared secret whoever can check a token could make one. `none` is never taken. */
const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];
/** How far the clocks of issuer and service may be apart. */
const CLOCK_TOLERANCE_SECONDS = 30;
/** Before a scope in a token, where other services have theirs: `millrace:read`, or `millrace/read` as Cognito spells it. */
const SCOPE_WORD = /^millrace[:/](.+)$/;
const FIX = "send a new access token of the service's issuer as `Authorization: Bearer TOKEN`";

export class TokenReader implements Authenticator {
  readonly schemes = {
    bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT", description: "An access token of the issuer" },
  } as const;
  readonly #config: JwtAuthConfig;
  readonly #clock: Clock;
  readonly #keys: JWTVerifyGetKey;

  constructor(config: JwtAuthConfig, clock: Clock, keys: JWTVerifyGetKey = issuerKeys(config, clock)) {
    this.#config = config;
    this.#clock = clock;
    this.#keys = keys;
  }

  async admit(caller: Caller): Promise<Admission> {
    const token = bearerOf(caller);
    if (token === undefined) return refused("no_credentials", "no token");
    const { issuer, audience } = this.#config;
    try {
      const { payload } = await jwtVerify(token, this.#keys, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: new Date(this.#clock.wallMs()),
        requiredClaims: ["exp", "sub"],
      });
      if (typeof payload.sub !== "string" || payload.sub === "") return refused("bad_token", "a token of nobody");
      return { kind: "admitted", principal: `jwt:${payload.sub}`, scopes: scopesOf(payload) };
    } catch (error) {
      if (error instanceof IssuerUnwell) return { kind: "unwell", cause: error };
      if (error instanceof errors.JWTExpired) return refused("expired_token", "a token that has expired");
      if (error instanceof errors.JOSEError) return refused("bad_token", wordsOf(error));
      // A header or a body that is no JSON comes as jose's; what a key import says of a strange header comes as a TypeError.
      if (error instanceof TypeError) return refused("bad_token", "no token that can be read");
      throw error;
    }
  }
}

function refused(why: "no_credentials" | "bad_token" | "expired_token", found: string): Admission {
  return { kind: "refused", why, fault: { field: "authorization", found, fix: FIX } };
}

/** Names of claims only: what stands in them is the caller's. */
function wordsOf(error: errors.JOSEError): string {
  if (error instanceof errors.JWTClaimValidationFailed) return `a token whose ${error.claim} is not the one asked for`;
  if (error instanceof errors.JOSEAlgNotAllowed) return "a token of a signing algorithm that is not taken";
  if (error instanceof errors.JWSSignatureVerificationFailed) return "a token whose signature does not fit";
  if (error instanceof errors.JWKSNoMatchingKey) return "a token signed with a key that the issuer does not have";
  if (error instanceof errors.JWKSMultipleMatchingKeys) return "a token that does not name its key (kid)";
  return "no token that can be read";
}

/** `scope` is words in a text (RFC 8693); `scp`, as some issuers have it, a text or a list. */
function scopesOf(payload: JWTPayload): readonly Scope[] {
  const words = ["scope", "scp"].flatMap((claim) => {
    const value = payload[claim];
    if (typeof value === "string") return value.split(" ");
    return Array.isArray(value) ? value.filter((word) => typeof word === "string") : [];
  });
  return words.map((word) => SCOPE_WORD.exec(word)?.[1] ?? "").filter(isScope);
}
