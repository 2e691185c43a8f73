/** Public keys of an OpenID Connect issuer, found by discovery and kept for some minutes. */
import { createRemoteJWKSet, errors, type JWTVerifyGetKey, type RemoteJWKSet } from "jose";
import { Unwell } from "../../backends/unwell.ts";
import type { Clock } from "../../backends/clock.ts";
import type { JwtAuthConfig } from "../../protocol/auth.ts";

/** An issuer that is well answers in milliseconds; callers wait that long. */
const ANSWER_MS_MAX = 5_000;

/** The issuer's keys cannot be had now, so no token can be judged: not its bearer's fault. */
export class IssuerUnwell extends Unwell {
  override readonly name = "IssuerUnwell";
}

/**
 * Answers the key that signed a token. Asks the issuer at the first token, again after 10 minutes, and (at most every 30 s)
 * for a key that it does not know. Throws `IssuerUnwell`, or what jose says of the token.
 */
export function issuerKeys(config: JwtAuthConfig, clock: Clock): JWTVerifyGetKey {
  let opened: RemoteJWKSet | undefined;
  let opening: Promise<RemoteJWKSet> | undefined;
  const open = async (): Promise<RemoteJWKSet> => {
    const url = config.jwksUrl ?? (await discover(config.issuer, clock));
    return createRemoteJWKSet(new URL(url), { timeoutDuration: ANSWER_MS_MAX });
  };
  return async (header, token) => {
    try {
      opening ??= open();
      opened = await opening;
      return await opened(header, token);
    } catch (error) {
      if (isOfToken(error)) throw error;
      // What is still known goes on counting; else all is asked anew with the next token, where the keys are too.
      if (opened?.fresh !== true) opening = undefined;
      const fix = "look at the issuer, at jwksUrl and at the way there";
      throw new IssuerUnwell(`the keys of ${config.issuer} cannot be had (${wordsOf(error)}); ${fix}`, {
        cause: error,
      });
    }
  };
}

/** The issuer answered, and has no key for this token. */
function isOfToken(error: unknown): boolean {
  const { JWKSNoMatchingKey, JWKSMultipleMatchingKeys, JOSENotSupported } = errors;
  return [JWKSNoMatchingKey, JWKSMultipleMatchingKeys, JOSENotSupported].some((kind) => error instanceof kind);
}

/** OpenID Connect Discovery 1.0, section 4: the document must name its issuer exactly so. */
async function discover(issuer: string, clock: Clock): Promise<string> {
  const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const facts = (await getJson(url, clock)) as { readonly issuer?: unknown; readonly jwks_uri?: unknown } | null;
  if (facts?.issuer !== issuer) throw new Error(`${url} names another issuer`);
  const { jwks_uri: keys } = facts;
  const https = typeof keys === "string" && URL.parse(keys)?.protocol === new URL(issuer).protocol;
  if (!https) throw new Error(`${url} names no address of keys`);
  return keys;
}

async function getJson(url: string, clock: Clock): Promise<unknown> {
  const over = new AbortController();
  const late = new AbortController();
  clock.sleep(ANSWER_MS_MAX, over.signal).then(
    () => {
      late.abort(new Error(`no answer within ${String(ANSWER_MS_MAX / 1000)} s`));
    },
    () => undefined, // answered in time
  );
  try {
    const answer = await fetch(url, { redirect: "manual", signal: late.signal });
    if (answer.status !== 200) throw new Error(`${url} answered ${String(answer.status)}`);
    return await answer.json();
  } finally {
    over.abort();
  }
}

/** fetch says only that it failed; why stands in the cause. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (cause instanceof Error && "code" in cause) return String(cause.code);
  return error.message;
}
