import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { describe, expect, it, vi } from "vitest";
import { ApiKeyRing } from "../../../services/batch-api/auth/api-keys.ts";
import { apiKeyHash, type ApiKeyLine } from "../../../services/protocol/api-keys.ts";

const lineOf = (name: string, key: string): ApiKeyLine => ({ name, sha256: apiKeyHash(key), scopes: ["read"] });

function ringOf(...keys: readonly string[]): ApiKeyRing {
  const ring = new ApiKeyRing();
  ring.hold(keys.map((key) => lineOf(`of-${key}`, key)));
  return ring;
}

function show(ring: ApiKeyRing, headers: Readonly<Record<string, string>>) {
  return ring.admit({ headers, peer: "192.0.2.1" });
}

describe("ApiKeyRing", () => {
  it.each([
    { authorization: "Bearer k2" },
    { authorization: "bearer  k2 " },
    { "x-api-key": "k2" },
    { authorization: "Basic YTpi", "x-api-key": "k2" },
    { authorization: "Bearer k2", "x-api-key": "k1" },
  ])("knows who shows %j", (headers) => {
    expect(show(ringOf("k1", "k2", "k3"), headers)).toEqual({
      kind: "admitted",
      principal: "key:of-k2",
      scopes: ["read"],
    });
  });

  it.each([
    {},
    { authorization: "k1" },
    { authorization: "Bearer" },
    { authorization: "Basic k1" },
    { "x-api-key": "" },
  ])("asks for a key where there is none: %j", (headers) => {
    expect(show(ringOf("k1"), headers)).toMatchObject({ kind: "refused", why: "no_credentials" });
  });

  it.each(["secret-", "secret-11", "SECRET-1", "secret-1, secret-1", apiKeyHash("secret-1")])(
    "refuses a key that is not among them, and does not repeat it: %s",
    (key) => {
      const refused = show(ringOf("secret-1"), { "x-api-key": key });

      expect(refused).toMatchObject({ kind: "refused", why: "unknown_key" });
      expect(JSON.stringify(refused).toLowerCase()).not.toContain("secret");
    },
  );

  it("holds what it was told last, and nothing at first", () => {
    const ring = ringOf("k1");
    ring.hold([lineOf("ann", "k2")]);

    expect(show(ring, { "x-api-key": "k1" })).toMatchObject({ kind: "refused" });
    expect(show(ring, { "x-api-key": "k2" })).toMatchObject({ principal: "key:ann" });
    expect(show(new ApiKeyRing(), { "x-api-key": "k1" })).toMatchObject({ kind: "refused" });
  });

  it.each(["k1", "k3", "none of them"])("compares every hash in constant time: %s", (key) => {
    const compared = vi.spyOn(crypto, "timingSafeEqual");
    syncBuiltinESMExports();
    try {
      show(ringOf("k1", "k2", "k3"), { authorization: "Bearer x", "x-api-key": key });
      show(ringOf("k1", "k2", "k3"), { "x-api-key": key });

      expect(compared).toHaveBeenCalledTimes(6);
    } finally {
      compared.mockRestore();
      syncBuiltinESMExports();
    }
  });
});
