import { mkdir, mkdtemp, readlink, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { KeyFile } from "../../../services/batch-api/auth/key-file.ts";
import { apiKeyHash, encodeApiKeyLine, type ApiKeyLine } from "../../../services/protocol/api-keys.ts";
import { Misconfigured } from "../../../services/protocol/environment.ts";
import { LIMITS } from "../../../services/protocol/limits.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const lineOf = (name: string): ApiKeyLine => ({ name, sha256: apiKeyHash(name), scopes: ["submit"] });
const textOf = (...names: readonly string[]) => names.map((name) => `${encodeApiKeyLine(lineOf(name))}\n`).join("");

let folder: string;
let path: string;
let clock: VirtualClock;
let said: string[];
/** Names of the keys that count, at the start and after each change. */
let held: (readonly string[])[];
let file: KeyFile;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-keys-"));
  path = join(folder, "keys");
  clock = new VirtualClock();
  said = [];
  held = [];
  const log = {
    warn: (sentence: string) => void said.push(`warn: ${sentence.replaceAll(path, "FILE")}`),
    info: (sentence: string) => void said.push(`info: ${sentence.replaceAll(path, "FILE")}`),
  };
  file = new KeyFile({ path, clock, log, onKeys: (keys) => void held.push(keys.map(({ name }) => name)) });
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** As the kubelet does: `keys` leads through `..data`, which is swapped for another folder at once. */
async function mountSecret(version: string, text: string): Promise<void> {
  await mkdir(join(folder, version));
  await writeFile(join(folder, version, "keys"), text);
  await symlink(version, join(folder, "..data_tmp"));
  await rename(join(folder, "..data_tmp"), join(folder, "..data"));
  await readlink(path).catch(() => symlink(join("..data", "keys"), path));
}

describe("KeyFile", () => {
  it("follows a mounted Secret through its swaps, every 5 s", async () => {
    await mountSecret("..1", textOf("ann"));
    await file.open();
    const end = new AbortController();
    const running = file.run(end.signal);
    await mountSecret("..2", textOf("ann", "bob"));
    expect(held).toEqual([["ann"]]);

    await clock.advance(5_000);
    await expect.poll(() => held.length).toBe(2);
    await mountSecret("..3", textOf("bob"));
    await clock.advance(5_000);
    await expect.poll(() => held.length).toBe(3);

    expect(held).toEqual([["ann"], ["ann", "bob"], ["bob"]]);
    expect(said).toEqual([
      "info: FILE has changed: 2 API keys count from now on",
      "info: FILE has changed: 1 API key counts from now on",
    ]);
    end.abort(new Error("over"));
    await expect(running).rejects.toThrow("over");
    expect(clock.sleeping).toBe(0);
  });

  it("keeps the keys where the file has faults, is gone or is too large, says so once, and takes it when it is mended", async () => {
    await writeFile(path, textOf("ann"));
    await file.open();
    const spoil = [
      () => writeFile(path, `${textOf("bob")}{"name":"eve"}\n`),
      () => rm(path),
      () => writeFile(path, "").then(() => truncate(path, LIMITS.apiKeysFileBytesMax + 1)),
    ];

    for (const change of spoil) {
      await change();
      await file.look();
      await file.look();
    }
    expect(held).toEqual([["ann"]]);
    await writeFile(path, textOf("bob"));
    await file.look();

    expect(held).toEqual([["ann"], ["bob"]]);
    expect(said).toEqual([
      "warn: FILE: line 2.sha256: found nothing; give a text of 1 to 64 characters. " +
        "line 2.scopes: found nothing; give a list of 1 to 3 texts. The API keys stay as they were.",
      "warn: FILE cannot be used (ENOENT): the API keys stay as they were",
      "warn: FILE cannot be used (it has 1048577 bytes, and may have 1048576): the API keys stay as they were",
      "info: FILE has changed: 1 API key counts from now on",
    ]);
  });

  it("goes on with a file that comes back as it was", async () => {
    await writeFile(path, textOf("ann"));
    await file.open();
    await rm(path);
    await file.look();
    await writeFile(path, textOf("ann"));
    await file.look();

    expect(held.at(-1)).toEqual(["ann"]);
  });

  it("takes a file of the largest size", async () => {
    await writeFile(path, textOf("ann").padEnd(LIMITS.apiKeysFileBytesMax));

    await file.open();

    expect(held).toEqual([["ann"]]);
  });

  it("takes an empty file for what it says: nobody", async () => {
    await writeFile(path, textOf("ann"));
    await file.open();
    await writeFile(path, "\n");
    await file.look();

    expect(held).toEqual([["ann"], []]);
    expect(said).toEqual([
      "warn: FILE holds no key: nobody is let in; `millrace api-key NAME` makes one",
      "info: FILE has changed: 0 API keys count from now on",
    ]);
  });

  it("does not start without its file, or with faults in it, all of which it tells", async () => {
    await expect(file.open()).rejects.toThrow(
      new Misconfigured(`${path} cannot be used (ENOENT); mount the file of API keys there`),
    );
    await writeFile(path, "x\ny\n");

    const started = file.open();

    await expect(started).rejects.toThrow(Misconfigured);
    await expect(started).rejects.toThrow(/line 1: found text that is no JSON.*\n.*line 2: found text that is no JSON/);
    expect(held).toEqual([]);
  });
});
