import { mkdtemp, rm } from "node:fs/promises";
import { chmodSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { binaryNames, goEntry, goToolchain } from "./go-build.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-go-build-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

function pathWithGo(version: string): NodeJS.ProcessEnv {
  const go = join(folder, "go");
  writeFileSync(go, `#!/bin/sh\nprintf '%s\\n' ${version} linux amd64\n`);
  chmodSync(go, 0o755);
  return { PATH: `${folder}:/usr/bin:/bin` };
}

describe("the Go that builds the test servers", () => {
  it("is the first one on PATH, with its version and machine", async () => {
    const environment = pathWithGo("go1.25.3");

    expect(await goToolchain(environment)).toEqual({ go: join(folder, "go"), version: "go1.25.3 linux/amd64" });
  });

  it("is refused in one sentence when it is too old", async () => {
    await expect(goToolchain(pathWithGo("go1.24.9"))).rejects.toThrow(
      /^npm run test:cloud needs Go 1\.25 or newer, on PATH or in .*: .*go is go1\.24\.9\.$/,
    );
  });

  it("is asked for in one sentence when there is none", async () => {
    await expect(goToolchain({ PATH: folder }, folder)).rejects.toThrow(
      /^npm run test:cloud needs Go 1\.25 or newer, on PATH or in .*: there is none\.$/,
    );
  });
});

describe("a server's entry in the cache", () => {
  it("is another one for each server and each Go", () => {
    const versions = ["go1.25.3 linux/amd64", "go1.26.8 linux/amd64"];
    const folders = versions.flatMap((version) =>
      binaryNames.map((name) => goEntry(name, { go: "go", version }).folder),
    );

    expect(new Set(folders).size).toBe(versions.length * binaryNames.length);
  });
});
