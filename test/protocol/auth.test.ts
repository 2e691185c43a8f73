import { describe, expect, it } from "vitest";
import { decodeAuth, encodeAuth, mayAct, readAuth, SCOPES, type AuthConfig } from "../../services/protocol/auth.ts";
import { LIMITS } from "../../services/protocol/limits.ts";
import { type Fault, faultSentence } from "../../services/protocol/problems.ts";

function faultsOf(value: unknown): readonly string[] {
  const faults: Fault[] = [];
  readAuth(value, "auth", faults);
  return faults.map(faultSentence);
}

describe("decodeAuth", () => {
  it.each<AuthConfig>([
    { kind: "none" },
    { kind: "apiKeys" },
    { kind: "jwt", issuer: "https://login.acme.example/", audience: "millrace" },
    { kind: "jwt", issuer: "https://a.example", audience: "b", jwksUrl: "https://a.example/keys" },
    { kind: "jwt", issuer: "http://127.0.0.1:9", audience: "b", jwksUrl: "http://[::1]:9/keys" },
    { kind: "network", cidrs: ["10.0.0.0/16", "2001:db8::/32", "192.0.2.7/32"] },
    { kind: "network", cidrs: ["10.0.0.0/16"], scope: "admin" },
  ])("reads what encodeAuth wrote: %j", (config) => {
    const faults: Fault[] = [];

    expect(decodeAuth(encodeAuth(config), "MILLRACE_AUTH", faults)).toEqual(config);
    expect(faults).toEqual([]);
  });

  it("takes nothing for none, and text that is no JSON for a fault", () => {
    const faults: Fault[] = [];

    expect(decodeAuth("", "MILLRACE_AUTH", faults)).toEqual({ kind: "none" });
    expect(faults).toEqual([]);
    expect(decodeAuth("apiKeys", "MILLRACE_AUTH", faults)).toEqual({ kind: "none" });
    expect(faults.map(faultSentence)).toEqual([
      'MILLRACE_AUTH: found text that is no JSON; write an object such as {"kind": "apiKeys"}.',
    ]);
  });
});

describe("readAuth", () => {
  it.each<[unknown, readonly string[]]>([
    ["apiKeys", ['auth: found "apiKeys"; write named fields.']],
    [{}, ["auth.kind: found nothing; write one of none, apiKeys, jwt, network."]],
    [{ kind: "apikeys" }, ['auth.kind: found "apikeys"; write apiKeys instead.']],
    [
      { kind: "network", cidr: [] },
      [
        'auth.cidrs: found nothing; write a list of 1 to 64 networks, such as ["10.0.0.0/16"].',
        "auth.cidr: found an unknown field; write cidrs instead, or remove it.",
      ],
    ],
    [
      { kind: "jwt", isuer: "https://a.example" },
      [
        "auth.issuer: found nothing; write an address that begins with https://.",
        "auth.audience: found nothing; write what stands in the tokens' aud, such as millrace.",
        "auth.isuer: found an unknown field; write issuer instead, or remove it.",
      ],
    ],
    [
      { kind: "jwt", issuer: "http://a.example", audience: "b", jwksUrl: "https://u:p@a.example/" },
      [
        'auth.jwksUrl: found "https://u:p@a.example/"; write an address that begins with https://, without user and password.',
        'auth.issuer: found "http://a.example"; write an address that begins with https://, without user and password.',
      ],
    ],
    [
      { kind: "jwt", issuer: "https://a.example", audience: ["a"] },
      ["auth.audience: found a list of 1; write a text."],
    ],
    [
      { kind: "network", cidrs: ["10.0.0.0/16"], scope: "write" },
      ['auth.scope: found "write"; write one of read, submit, admin.'],
    ],
    [{ kind: "apiKeys", cidrs: [] }, ["auth.cidrs: found an unknown field; write kind, or remove it."]],
  ])("says of %j all that is wrong", (value, faults) => {
    expect(faultsOf(value)).toEqual(faults);
  });

  it.each([
    "10.0.0.0",
    "10.0.0.0/33",
    "10.0.0/8",
    "010.0.0.0/8",
    "256.0.0.0/8",
    "::1/129",
    "::g/8",
    "fe80::1%eth0/64",
    10,
  ])("takes %j for no network", (cidr) => {
    expect(faultsOf({ kind: "network", cidrs: ["10.0.0.0/16", cidr] })).toEqual([
      expect.stringMatching(/^auth\.cidrs\[1\]: found .*; write a network such as 10\.0\.0\.0\/16/),
    ]);
  });

  it.each(["0.0.0.0/0", "::/0"])("refuses %s, which would be no check at all", (cidr) => {
    expect(faultsOf({ kind: "network", cidrs: [cidr] })).toEqual([
      `auth.cidrs[0]: found ${cidr}, which is everybody; name the networks that calls come from.`,
    ]);
  });

  it("takes as many networks as it says, and no more", () => {
    const cidrs = Array.from({ length: LIMITS.networksMax }, (_, at) => `10.${String(at)}.0.0/16`);

    expect(faultsOf({ kind: "network", cidrs })).toEqual([]);
    expect(faultsOf({ kind: "network", cidrs: [...cidrs, "10.200.0.0/16"] })).toEqual([
      expect.stringMatching(/^auth\.cidrs: found a list of 65;/),
    ]);
  });

  it("answers none where there are faults, never half of what was meant", () => {
    expect(readAuth({ kind: "network", cidrs: ["10.0.0.0/8"], scopes: 1 }, "auth", [])).toEqual({ kind: "none" });
  });
});

describe("mayAct", () => {
  it("gives each scope those before it", () => {
    const table = SCOPES.map((held) => SCOPES.filter((needed) => mayAct([held], needed)));

    expect(table).toEqual([["read"], ["read", "submit"], ["read", "submit", "admin"]]);
    expect(mayAct([], "read")).toBe(false);
    expect(mayAct(["read", "admin"], "submit")).toBe(true);
  });
});
