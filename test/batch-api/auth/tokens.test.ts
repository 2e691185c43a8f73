import { exportSPKI, SignJWT } from "jose";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { realClock } from "../../../services/backends/clock.real.ts";
import type { Admission } from "../../../services/batch-api/auth/admission.ts";
import { TokenReader } from "../../../services/batch-api/auth/tokens.ts";
import type { JwtAuthConfig } from "../../../services/protocol/auth.ts";
import { AUDIENCE, Issuer } from "../../support/an-issuer.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

let issuer: Issuer;
let reader: TokenReader;

beforeEach(async () => {
  issuer = await Issuer.start();
  reader = readerOf({});
});

afterEach(async () => {
  vi.useRealTimers();
  await issuer.stop();
});

function readerOf(config: Partial<JwtAuthConfig>): TokenReader {
  return new TokenReader({ kind: "jwt", issuer: issuer.url, audience: AUDIENCE, ...config }, realClock);
}

function show(token: string, to = reader): Promise<Admission> {
  return to.admit({ headers: { authorization: `Bearer ${token}` }, peer: "127.0.0.1" });
}

function seconds(fromNow: number): number {
  return Math.trunc(Date.now() / 1000) + fromNow;
}

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

describe("a token of the issuer", () => {
  it("lets its subject in with the scopes that it names", async () => {
    expect(await show(await issuer.token())).toEqual({ kind: "admitted", principal: "jwt:ann", scopes: ["submit"] });
  });

  it.each([
    [{ scope: "millrace:read millrace:admin other:admin admin" }, ["read", "admin"]],
    [{ scope: undefined, scp: ["millrace:read", 7] }, ["read"]],
    [{ scope: undefined, scp: "millrace/submit" }, ["submit"]],
    [{ scope: "read submit admin" }, []],
    [{ scope: ["millrace:read"] }, ["read"]],
    [{ scope: { "millrace:admin": true } }, []],
  ])("with %j has scopes %j", async (claims, scopes) => {
    expect(await show(await issuer.token({ claims }))).toMatchObject({ kind: "admitted", scopes });
  });

  it("counts for one of several audiences, and for some seconds after its end", async () => {
    for (const claims of [{ aud: ["other", AUDIENCE] }, { exp: seconds(-20) }, { nbf: seconds(20) }]) {
      expect(await show(await issuer.token({ claims }))).toMatchObject({ kind: "admitted" });
    }
  });

  it("is judged with keys that are asked for once", async () => {
    for (let at = 0; at < 3; at += 1) await show(await issuer.token());

    expect(issuer.asked).toEqual(["/.well-known/openid-configuration", "/keys"]);
  });

  it("is judged with the keys of jwksUrl where that is given", async () => {
    reader = readerOf({ jwksUrl: issuer.jwksUrl });

    expect(await show(await issuer.token())).toMatchObject({ kind: "admitted" });
    expect(issuer.asked).toEqual(["/keys"]);
  });

  it("may be signed with a key that the issuer has had for a minute", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    await show(await issuer.token());
    const key = await issuer.addKey("second");
    issuer.removeKey("first");
    const token = () => issuer.token({ kid: "second", key });

    expect(await show(await token())).toMatchObject({ why: "bad_token" });
    vi.setSystemTime(Date.now() + 60_000);

    expect(await show(await token())).toMatchObject({ kind: "admitted" });
  });
});

describe("a token that is refused", () => {
  const found = { kind: "refused", why: "bad_token" };

  it.each([
    ["for another service", { aud: "other" }, "aud"],
    ["for nobody in particular", { aud: undefined }, "aud"],
    ["of another issuer", { iss: "https://evil.example" }, "iss"],
    ["of no issuer", { iss: undefined }, "iss"],
    ["without end", { exp: undefined }, "exp"],
    ["of nobody", { sub: undefined }, "sub"],
    ["not valid yet", { nbf: seconds(60) }, "nbf"],
  ])("is one %s", async (_, claims, claim) => {
    const said = `a token whose ${claim} is not the one asked for`;

    expect(await show(await issuer.token({ claims }))).toMatchObject({ ...found, fault: { found: said } });
  });

  it("has expired", async () => {
    expect(await show(await issuer.token({ claims: { exp: seconds(-40) } }))).toMatchObject({ why: "expired_token" });
  });

  it("is signed with another key under the issuer's key id, or with a key that it does not have", async () => {
    const other = await Issuer.start();
    const key = other.keyOf("first");
    await other.stop();

    expect(await show(await issuer.token({ key }))).toMatchObject({
      ...found,
      fault: { found: "a token whose signature does not fit" },
    });
    expect(await show(await issuer.token({ kid: "other", key }))).toMatchObject({
      ...found,
      fault: { found: "a token signed with a key that the issuer does not have" },
    });
  });

  it("has other claims than were signed", async () => {
    const [head = "", , signature = ""] = (await issuer.token()).split(".");
    const claims = { iss: issuer.url, aud: AUDIENCE, sub: "eve", exp: seconds(300), scope: "millrace:admin" };

    expect(await show(`${head}.${base64url(claims)}.${signature}`)).toMatchObject(found);
  });

  it("is not signed, whatever it says of that", async () => {
    const claims = base64url({ iss: issuer.url, aud: AUDIENCE, sub: "eve", exp: seconds(300) });

    for (const alg of ["none", "None", ""]) {
      expect(await show(`${base64url({ alg, kid: "first" })}.${claims}.`)).toMatchObject(found);
    }
  });

  it("takes the issuer's public key for a shared secret", async () => {
    const secret = Buffer.from(await exportSPKI(issuer.keyOf("first").publicKey));
    const token = await new SignJWT({ iss: issuer.url, aud: AUDIENCE, sub: "eve", exp: seconds(300) })
      .setProtectedHeader({ alg: "HS256", kid: "first" })
      .sign(secret);

    expect(await show(token)).toMatchObject({
      ...found,
      fault: { found: "a token of a signing algorithm that is not taken" },
    });
  });

  it.each(["x", "a.b.c", "....", `${base64url({ alg: "ES256", crit: ["x"], x: 1 })}.e30.e30`])(
    "is none: %s",
    async (token) => {
      expect(await show(token)).toMatchObject(found);
    },
  );

  it("is missing, or of another kind", async () => {
    for (const headers of [{}, { authorization: "Basic YTpi" }, { authorization: "Bearer" }, { "x-api-key": "k" }]) {
      expect(await reader.admit({ headers, peer: "" })).toMatchObject({ kind: "refused", why: "no_credentials" });
    }
  });
});

describe("an issuer that does not answer well", () => {
  const CONFIGURATION = "/.well-known/openid-configuration";

  it.each([
    ["its keys are gone", "/keys", 500, "", "Expected 200 OK"],
    ["its keys are no JSON", "/keys", 200, "<html>", "Failed to parse"],
    ["its keys are none", "/keys", 200, '{"keys": 1}', "JSON Web Key Set malformed"],
    ["it sends elsewhere for keys", "/keys", 302, "", "Expected 200 OK"],
    [
      "it is another one",
      CONFIGURATION,
      200,
      '{"issuer": "https://evil.example", "jwks_uri": "KEYS"}',
      "another issuer",
    ],
    ["it has no keys", CONFIGURATION, 200, '{"issuer": "ISSUER"}', "names no address of keys"],
    [
      "its keys lie elsewhere",
      CONFIGURATION,
      200,
      '{"issuer": "ISSUER", "jwks_uri": "file:///keys"}',
      "no address of keys",
    ],
    ["it does not speak OpenID", CONFIGURATION, 404, "", "answered 404"],
    ["it is null", CONFIGURATION, 200, "null", "another issuer"],
  ])("says nothing of the token, and is asked again: %s", async (_, path, status, text, words) => {
    const body = text.replace("ISSUER", issuer.url).replace("KEYS", issuer.jwksUrl);
    issuer.answers.set(path, (response) => response.writeHead(status, { location: "/others" }).end(body));

    const unwell = await show(await issuer.token());
    issuer.answers.clear();

    expect(unwell).toMatchObject({ kind: "unwell" });
    const said = unwell.kind === "unwell" ? unwell.cause.message : "";
    expect(said).toContain(`the keys of ${issuer.url} cannot be had (`);
    expect(said).toContain(words);
    expect(await show(await issuer.token())).toMatchObject({ kind: "admitted" });
  });

  it("is asked again where its keys are, once those that were known are old", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    await show(await issuer.token());
    const keys = await (await fetch(issuer.jwksUrl)).text();
    issuer.answers.set("/keys", (response) => response.writeHead(404).end());
    issuer.answers.set("/moved", (response) => response.end(keys));
    issuer.answers.set(CONFIGURATION, (response) =>
      response.end(JSON.stringify({ issuer: issuer.url, jwks_uri: `${issuer.url}/moved` })),
    );
    vi.setSystemTime(Date.now() + 60_000);

    const unknown = await show(await issuer.token({ kid: "other", key: issuer.keyOf("first") }));
    const known = await show(await issuer.token());
    vi.setSystemTime(Date.now() + 600_000);
    const late = [await show(await issuer.token()), await show(await issuer.token())];

    expect([unknown, known, ...late].map(({ kind }) => kind)).toEqual(["unwell", "admitted", "unwell", "admitted"]);
  });

  it("is not waited for longer than 5 s", async () => {
    const clock = new VirtualClock();
    const config = { kind: "jwt", issuer: issuer.url, audience: AUDIENCE } as const;
    const asked = Promise.withResolvers<undefined>();
    issuer.answers.set(CONFIGURATION, () => {
      asked.resolve(undefined);
    });
    const shown = show(await issuer.token(), new TokenReader(config, clock));
    await asked.promise;

    await clock.advance(5_000);

    const unwell = await shown;
    expect(unwell.kind === "unwell" && unwell.cause.message).toContain("(no answer within 5 s)");
    expect(clock.sleeping).toBe(0);
  });

  it("is not there", async () => {
    const token = await issuer.token();
    await issuer.stop();

    const unwell = await show(token);

    expect(unwell.kind === "unwell" && unwell.cause.message).toContain("(ECONNREFUSED)");
    issuer = await Issuer.start();
  });
});
