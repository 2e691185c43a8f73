import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openAuth, type ServiceAuth } from "../../../services/batch-api/auth/open-auth.ts";
import { apiKeyHash, encodeApiKeyLine } from "../../../services/protocol/api-keys.ts";
import { anApp } from "../../support/an-app.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

let folder: string;
let keys: ServiceAuth;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-auth-"));
  keys = { kind: "apiKeys", file: join(folder, "keys") };
  await writeFile(keys.file, encodeApiKeyLine({ name: "ann", sha256: apiKeyHash("k1"), scopes: ["read"] }));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function opened(config: ServiceAuth) {
  const said: string[] = [];
  const clock = new VirtualClock();
  const log = { warn: (sentence: string) => void said.push(sentence), info: () => undefined };
  return { auth: await openAuth(config, { clock, log }), clock, said };
}

/** The status that a service with it answers over a real connection to 127.0.0.1, called by this name. */
async function statusOf(config: ServiceAuth, host: string, headers: Readonly<Record<string, string>>): Promise<number> {
  const { auth } = await opened(config);
  const { app } = await anApp({ authenticator: auth.authenticator, hosts: auth.hosts });
  await app.listen({ host: auth.host, port: 0 });
  try {
    const { port } = app.server.address() as AddressInfo;
    const asked = get({ host: "127.0.0.1", port, path: "/v1/apis", headers: { host, ...headers } });
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    answer.resume();
    return answer.statusCode ?? 0;
  } finally {
    await app.close();
  }
}

describe("openAuth", () => {
  it("keeps doors that ask nobody on loopback, under names of loopback", async () => {
    const { auth, said } = await opened({ kind: "none" });

    expect([auth.host, auth.hosts.kind]).toEqual(["127.0.0.1", "loopback"]);
    expect(said).toEqual([]);
    expect(await statusOf({ kind: "none" }, "localhost", {})).toBe(200);
    expect(await statusOf({ kind: "none" }, "batch.acme.example", {})).toBe(403);
  });

  it("opens others to all addresses and names, and asks there", async () => {
    const key = { authorization: "Bearer k1" };

    expect((await opened(keys)).auth.host).toBe("0.0.0.0");
    expect(await statusOf(keys, "localhost", {})).toBe(401);
    expect(await statusOf(keys, "localhost", key)).toBe(200);
    expect(await statusOf(keys, "batch.acme.example", key)).toBe(200);
  });

  it("sees the peer of a real connection", async () => {
    expect(await statusOf({ kind: "network", cidrs: ["127.0.0.0/8"] }, "localhost", {})).toBe(200);
    expect(await statusOf({ kind: "network", cidrs: ["10.0.0.0/8"] }, "localhost", {})).toBe(403);
  });

  it("warns of what trusts a network, by its name", async () => {
    const { said } = await opened({ kind: "network", cidrs: ["10.0.0.0/16", "10.1.0.0/16"] });

    expect(said).toEqual([
      expect.stringMatching(/^auth is by network: whoever .* from 10\.0\.0\.0\/16, 10\.1\.0\.0\/16 is let in/),
    ]);
  });

  it("goes on looking at the file of keys until its signal aborts", async () => {
    const { auth, clock } = await opened(keys);
    const end = new AbortController();
    const running = auth.run(end.signal);
    expect(clock.sleeping).toBe(1);

    end.abort(new Error("over"));

    await expect(running).rejects.toThrow("over");
    expect(clock.sleeping).toBe(0);
  });
});
