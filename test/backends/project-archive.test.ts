import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { unpackOnce } from "../../services/backends/project-archive.ts";
import { packFiles, sha256Hex } from "../../services/project/project-files.ts";
import { aProject } from "../support/project-folder.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-archive-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const PROJECT = { "millrace.yaml": "name: a\n", "handler.py": "x = 1\n", "lib/words.py": "y = 2\n" };

describe("unpackOnce", () => {
  it("unpacks once, whoever asks at the same time", async () => {
    const archive = await packFiles(aProject(PROJECT));
    const asked = [1, 2, 3].map(() => unpackOnce(folder, sha256Hex(archive), archive));

    const [first = "", ...others] = await Promise.all(asked);
    expect(others).toEqual([first, first]);
    expect(await readdir(folder)).toEqual([sha256Hex(archive)]);
    expect(await readFile(join(first, "lib/words.py"), "utf8")).toBe("y = 2\n");
  });

  it("refuses bytes that are not those of the sha256", async () => {
    const archive = await packFiles(aProject(PROJECT));

    await expect(unpackOnce(folder, "0".repeat(64), archive)).rejects.toThrow("not those of its version");
  });
});
