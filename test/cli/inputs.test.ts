import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readInputs } from "../../cli/inputs.ts";
import { fileUri } from "../../services/protocol/dataset-uris.ts";
import { NASTY_NAMES } from "../support/nasty-names.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-inputs-"));
  await mkdir(join(folder, "photos"));
  await writeFile(join(folder, "one photo.jpg"), "x");
  await writeFile(join(folder, "items.jsonl"), "1\n");
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("inputs of a job", () => {
  it("takes what is no file as items, JSON as it is and the rest as text", async () => {
    const read = await readInputs(["to be", "1.10", '{"a":1}', '"1"', "[", "and/or not"], undefined, folder);

    expect(read).toMatchObject({ kind: "items", folders: [] });
    expect(read.values).toEqual(['"to be"', "1.10", '{"a":1}', '"1"', '"["', '"and/or not"']);
    expect(read.guess).toContain("taking 6 inputs as items");
  });

  it("takes folders and files as files, with absolute addresses, and opens their folders", async () => {
    const read = await readInputs(["photos", "./one photo.jpg", "s3://bucket/prefix"], undefined, folder);

    expect(read).toMatchObject({ kind: "files", folders: [join(folder, "photos"), folder] });
    expect(read.values).toEqual([`file://${folder}/photos/`, `file://${folder}/one%20photo.jpg`, "s3://bucket/prefix"]);
  });

  it("takes files of JSON as lines", async () => {
    const read = await readInputs(["items.jsonl", "s3://bucket/more.ndjson"], undefined, folder);

    expect(read.kind).toBe("lines");
  });

  it("takes files of any name by the address that a listing gives them", async () => {
    for (const name of NASTY_NAMES) {
      await writeFile(join(folder, "photos", name), "x");
      const { values } = await readInputs([`photos/${name}`], "files", folder);

      expect(values, JSON.stringify(name)).toEqual([fileUri(join(folder, "photos", name))]);
    }
  });

  it("says nothing of a guess when it was told", async () => {
    expect((await readInputs(["photos"], "files", folder)).guess).toBeUndefined();
    expect(await readInputs(["photos"], "items", folder)).toMatchObject({ values: ['"photos"'], folders: [] });
  });
});
