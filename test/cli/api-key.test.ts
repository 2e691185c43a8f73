import { rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ApiKeyRing } from "../../services/batch-api/auth/api-keys.ts";
import { apiKeyHash, parseApiKeys } from "../../services/protocol/api-keys.ts";
import { CliUser } from "../support/a-cli.ts";
import { anApp, type TestApp } from "../support/an-app.ts";

const HOLDS_KEY = /[a-z]+_[0-9a-f]{64}/;

let user: CliUser;
let doors: TestApp;
let ring: ApiKeyRing;
let address: string;

beforeAll(async () => {
  user = await CliUser.create();
  ring = new ApiKeyRing();
  doors = await anApp({ authenticator: ring });
  await doors.app.listen({ host: "127.0.0.1", port: 0 });
  address = `http://127.0.0.1:${String((doors.app.server.address() as AddressInfo).port)}`;
});

afterAll(async () => {
  await doors.app.close();
  await user.remove();
});

async function newKey(name: string, ...options: readonly string[]): Promise<{ key: string; line: string }> {
  const { out } = await user.run(["api-key", name, "--output", "json", ...options]);
  return JSON.parse(out) as { key: string; line: string };
}

describe("millrace api-key", () => {
  it("makes a key, another one each time, and the line that lets it in", async () => {
    const first = await newKey("ci");
    const second = await newKey("ci", "--scopes", "read, admin,read");

    expect(first.key).toMatch(/^millrace_[0-9a-f]{64}$/);
    expect(second.key).not.toBe(first.key);
    expect(parseApiKeys(`${first.line}\n${second.line}\n`)).toEqual({
      keys: [
        { name: "ci", sha256: apiKeyHash(first.key), scopes: ["submit"] },
        { name: "ci", sha256: apiKeyHash(second.key), scopes: ["read", "admin"] },
      ],
      faults: [],
    });
    expect(first.line).not.toContain(first.key);
  });

  it("shows the key once, and says where the two belong", async () => {
    const { out } = await user.run(["api-key", "ci"]);

    expect(out.split("\n").map((line) => line.replace(HOLDS_KEY, "KEY").replace(/[0-9a-f]{64}/, "HASH"))).toEqual([
      "API key of ci, shown this once; clients have it in MILLRACE_API_KEY:",
      "  KEY",
      "its line, for auth.keys of a BatchApi, or for the file in MILLRACE_API_KEYS_FILE:",
      '  {"name":"ci","sha256":"HASH","scopes":["submit"]}',
      "",
    ]);
  });

  it.each([
    [["a b"], "error: NAME: found characters or a length that no name has; give 1 to 63 letters"],
    [["ci", "--scopes", "write"], 'error: --scopes: found "write"; write some of read, submit, admin'],
    [["ci", "--scopes", "submti"], 'error: --scopes: found "submti"; write submit instead'],
    [["ci", "--scopes", ""], 'error: --scopes: found ""; write some of'],
  ])("refuses %j", async (args, said) => {
    const { code, err, out } = await user.run(["api-key", ...args]);

    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain(said);
  });
});

describe("a command that goes to a service with keys", () => {
  it("shows MILLRACE_API_KEY, and says what to set when there is none or it does not count", async () => {
    const { key, line } = await newKey("ann", "--scopes", "read");
    ring.hold(parseApiKeys(line).keys);
    const get = (environment: Record<string, string>) => user.run(["get", "--address", address], { environment });

    const [none, wrong, right] = [
      await get({}),
      await get({ MILLRACE_API_KEY: "guess" }),
      await get({ MILLRACE_API_KEY: `${key}\n` }),
    ];

    expect(none).toMatchObject({ code: 2, err: expect.stringContaining("found no key;") as string });
    expect(none.err).toContain("Set MILLRACE_API_KEY to your key or token");
    expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining("Set MILLRACE_API_KEY") as string });
    expect(right).toMatchObject({ code: 0, err: "" });
    expect(right.out).toContain("digits");
  });

  it("says which scope a key lacks", async () => {
    const { key, line } = await newKey("ann", "--scopes", "read");
    ring.hold(parseApiKeys(line).keys);
    const environment = { MILLRACE_API_KEY: key };

    const { code, err } = await user.run(["submit", "digits", "1", "--address", address], { environment });

    expect(code).toBe(2);
    expect(err).toContain("found scope read; this needs scope submit");
  });

  it("shows the key of its context's file, read at each use, before any other", async () => {
    const [first, second] = [await newKey("ann"), await newKey("ann")];
    const file = join(user.home, "key");
    await writeFile(file, `${first.key}\n`);
    await user.run(["context", "add", "team", "--address", address, "--api-key-file", file]);
    const get = () => user.run(["get"], { environment: { MILLRACE_API_KEY: second.key } });

    ring.hold(parseApiKeys(first.line).keys);
    expect(await get()).toMatchObject({ code: 0 });
    ring.hold(parseApiKeys(second.line).keys);
    expect(await get()).toMatchObject({ code: 2 });
    await writeFile(file, second.key);
    expect(await get()).toMatchObject({ code: 0 });

    await rm(file);
    expect((await get()).err).toContain(`${file} cannot be read (ENOENT); put your API key there`);
    await user.run(["context", "remove", "team"]);
  });

  it("sends nothing that cannot be a key, and does not repeat it", async () => {
    const environment = { MILLRACE_API_KEY: "a secret\nx-evil: 1" };

    const { code, err } = await user.run(["get", "--address", address], { environment });

    expect(code).toBe(2);
    expect(err).toContain("MILLRACE_API_KEY: found characters that no key has; put the API key alone there");
    expect(err).not.toContain("secret");
  });
});
