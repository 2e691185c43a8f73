import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FilesDataset } from "../../services/backends/dataset.files.ts";
import { fileUri } from "../../services/protocol/dataset-uris.ts";
import { describeDataset } from "../contracts/dataset.contract.ts";

const allowOption = "--allow";

describeDataset("a folder", async () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "dataset-")));
  return Promise.resolve({
    dataset: new FilesDataset({ roots: [root], allowOption, pageObjects: 2 }),
    uri: (path) => fileUri(`${root}/${path}`),
    write: async (path, content) => {
      await mkdir(dirname(`${root}/${path}`), { recursive: true });
      await rm(`${root}/${path}`, { force: true });
      await writeFile(`${root}/${path}`, content);
    },
    remove: (path) => rm(`${root}/${path}`),
    close: () => rm(root, { recursive: true }),
  });
});

describe("a folder's borders", () => {
  let root: string;
  let outside: string;
  let dataset: FilesDataset;
  const listed = async (path: string) => {
    const found: string[] = [];
    for await (const page of dataset.list(fileUri(path)))
      found.push(...page.map(({ uri }) => uri.slice(fileUri(root).length)));
    return found;
  };

  beforeEach(() => {
    root = realpathSync(mkdtempSync(join(tmpdir(), "root-")));
    outside = realpathSync(mkdtempSync(join(tmpdir(), "outside-")));
    writeFileSync(join(outside, "secret"), "s");
    mkdirSync(join(root, "folder"));
    writeFileSync(join(root, "folder", "x"), "x");
    writeFileSync(join(root, "folder2"), "y");
    dataset = new FilesDataset({ roots: [root], allowOption });
  });
  afterEach(() => {
    rmSync(root, { recursive: true });
    rmSync(outside, { recursive: true });
  });

  it("means what lies in a folder, with or without its slash", async () => {
    expect(await listed(`${root}/folder`)).toEqual(["/folder/x"]);
    expect(await listed(`${root}/folder/`)).toEqual(["/folder/x"]);
    expect(await listed(`${root}/fold`)).toEqual(["/folder/x", "/folder2"]);
  });

  it("refuses what lies outside, naming the folders that are allowed and the option", async () => {
    for (const path of [outside, `${outside}/`, `${root}/../`, `${root}-no-such`, "/"]) {
      await expect(listed(path)).rejects.toMatchObject({ fault: "outside_roots" });
    }
    await expect(listed(outside)).rejects.toThrow(
      `${outside}/ lies outside the folders that this service may read (${root}); allow its folder with --allow`,
    );
    await expect(dataset.read(fileUri(`${outside}/secret`), { start: 0, end: 1 }, "")).rejects.toMatchObject({
      fault: "outside_roots",
    });
  });

  it("refuses a link that leads outside, in the list and when reading", async () => {
    symlinkSync(join(outside, "secret"), join(root, "folder", "link"));

    await expect(listed(`${root}/folder/`)).rejects.toMatchObject({ fault: "outside_roots" });
    await expect(dataset.read(fileUri(`${root}/folder/link`), { start: 0, end: 1 }, "")).rejects.toMatchObject({
      fault: "outside_roots",
    });
  });

  it("looks at no link beside what is asked for", async () => {
    symlinkSync(join(outside, "secret"), join(root, "fold"));

    expect(await listed(`${root}/folder`)).toEqual(["/folder/x"]);
    expect(await listed(`${root}/folder2`)).toEqual(["/folder2"]);
  });

  it("follows links inside, and none for ever", async () => {
    symlinkSync(join(root, "folder2"), join(root, "folder", "link"));
    symlinkSync(root, join(root, "folder", "up"));
    symlinkSync(join(root, "nowhere"), join(root, "folder", "dangling"));

    expect(await listed(root)).toEqual(["/folder/link", "/folder/x", "/folder2"]);
  });

  it.skipIf(process.getuid?.() === 0)("names a folder that may not be read", async () => {
    chmodSync(join(root, "folder"), 0o000);

    await expect(listed(root)).rejects.toMatchObject({ fault: "denied" });
    chmodSync(join(root, "folder"), 0o700);
  });

  it("refuses a name that is not UTF-8, for it would be left out without a word, and takes one with U+FFFD in it", async () => {
    writeFileSync(`${root}/good\uFFFD.txt`, "x");
    expect(await listed(root)).toContain("/good%EF%BF%BD.txt");

    writeFileSync(Buffer.concat([Buffer.from(`${root}/b`), Buffer.from([0xe4]), Buffer.from("d.txt")]), "x");
    await expect(listed(root)).rejects.toThrow(/holds "b\uFFFDd\.txt", which is not UTF-8.*rename it/);
  });

  it("says missing for a folder in the roots that is not there", async () => {
    await expect(listed(`${root}/no/such/`)).rejects.toMatchObject({ fault: "missing" });
  });

  it("sees a change of the same length", async () => {
    let etag = "";
    for await (const page of dataset.list(fileUri(`${root}/folder2`))) etag = page[0]?.etag ?? "";
    writeFileSync(join(root, "folder2"), "z");

    await expect(dataset.read(fileUri(`${root}/folder2`), { start: 0, end: 1 }, etag)).rejects.toMatchObject({
      fault: "changed",
    });
  });
});
