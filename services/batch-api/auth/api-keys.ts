/** Static keys: who shows one of them is whom its line names. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { ApiKeyLine } from "../../protocol/api-keys.ts";
import { type Admission, type Authenticator, bearerOf, type Caller } from "./admission.ts";

const FIX = "send a key of this service as `Authorization: Bearer KEY` or `X-Api-Key: KEY`";

/** The keys that count now. Nothing of a key is kept: only hashes are compared. */
export class ApiKeyRing implements Authenticator {
  readonly schemes = {
    bearer: { type: "http", scheme: "bearer", description: "An API key" },
    apiKey: { type: "apiKey", in: "header", name: "X-Api-Key", description: "The same key, for old clients" },
  } as const;
  #keys: readonly { readonly line: ApiKeyLine; readonly hash: Buffer }[] = [];

  /** From now on these count, and no other ones. */
  hold(lines: readonly ApiKeyLine[]): void {
    this.#keys = lines.map((line) => ({ line, hash: Buffer.from(line.sha256, "hex") }));
  }

  admit(caller: Caller): Admission {
    const shown = bearerOf(caller) ?? caller.headers["x-api-key"];
    if (typeof shown !== "string" || shown === "") {
      return { kind: "refused", why: "no_credentials", fault: { field: "authorization", found: "no key", fix: FIX } };
    }
    const line = this.#lineOf(shown);
    if (line !== undefined) return { kind: "admitted", principal: `key:${line.name}`, scopes: line.scopes };
    const found = "a key that does not count here (any more)";
    return { kind: "refused", why: "unknown_key", fault: { field: "authorization", found, fix: FIX } };
  }

  /** Takes as long for a wrong key as for a right one, wherever that stands. */
  #lineOf(shown: string): ApiKeyLine | undefined {
    const hash = createHash("sha256").update(shown).digest();
    let match: ApiKeyLine | undefined;
    for (const key of this.#keys) {
      if (timingSafeEqual(key.hash, hash)) match = key.line;
    }
    return match;
  }
}
