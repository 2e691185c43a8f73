import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodeFileSystem, type FileSystem } from "../../services/backends/folder/file-system.ts";
import { openFileStore } from "../../services/backends/object-store.files.ts";
import { StoreBroken } from "../../services/backends/object-store.ts";
import { fileNameOf, identify } from "../../services/backends/process-identity.ts";

const run = promisify(execFile);
const storeModule = join(import.meta.dirname, "../../services/backends/object-store.files.ts");

/** Each process races for the same 20 objects and increments the same record 20 times; it prints how many objects it won. */
const racer = `
  const [root, module] = process.argv.slice(1);
  const { openFileStore } = await import(module);
  const store = await openFileStore({ root });
  let won = 0;
  for (let at = 0; at < 20; at++) {
    if (await store.put("race/" + String(at), Buffer.from(String(process.pid)))) won++;
    for (let done = false; !done; ) {
      const before = await store.read("count");
      const count = Number(before?.bytes.toString() ?? "0") + 1;
      done = (await store.swap("count", Buffer.from(String(count)), before?.version)) !== undefined;
    }
  }
  console.log(won);
`;

function failing(code: string): Error {
  return Object.assign(new Error(code), { code });
}

describe("a file store", () => {
  let root = "";
  beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), "millrace-files-"))));
  afterEach(async () => await rm(root, { recursive: true }));

  it("decides races between processes once", async () => {
    const outputs = await Promise.all(
      [1, 2, 3, 4].map(() =>
        run(process.execPath, ["--input-type=module", "--eval", racer, root, storeModule], { timeout: 20_000 }),
      ),
    );

    const store = await openFileStore({ root });
    expect(outputs.map(({ stdout }) => Number(stdout)).reduce((a, b) => a + b)).toBe(20);
    expect((await store.read("count"))?.bytes.toString()).toBe("80");
  });

  it("does not win a swap that slept while the record went on and its next file was removed", async () => {
    const other = await openFileStore({ root });
    let version = await other.swap("lease", Buffer.from("1"), undefined);
    const stale = version;
    let overtake = false;
    const files: FileSystem = {
      ...nodeFileSystem,
      async link(existing, path) {
        if (overtake) {
          overtake = false;
          for (let at = 2; at < 8; at++) version = await other.swap("lease", Buffer.from(String(at)), version);
        }
        await nodeFileSystem.link(existing, path);
      },
    };
    const sleeper = await openFileStore({ root, files });
    overtake = true;

    expect(await sleeper.swap("lease", Buffer.from("stale"), stale)).toBeUndefined();
    expect((await sleeper.read("lease"))?.bytes.toString()).toBe("7");
    expect((await other.read("lease"))?.bytes.toString()).toBe("7");
    expect(await readdir(root)).not.toContain("lease@2");
  });

  it("does not win a creation that slept while the record was made and deleted", async () => {
    const other = await openFileStore({ root });
    let overtake = false;
    const files: FileSystem = {
      ...nodeFileSystem,
      async link(existing, path) {
        if (overtake) {
          overtake = false;
          await other.swap("lease", Buffer.from("1"), undefined);
          await other.delete("lease");
        }
        await nodeFileSystem.link(existing, path);
      },
    };
    const sleeper = await openFileStore({ root, files });
    overtake = true;

    expect(await sleeper.swap("lease", Buffer.from("stale"), undefined)).toBeUndefined();
    expect(await other.read("lease")).toBeUndefined();
  });

  it("syncs bytes before a name shows them, and every new name before it answers", async () => {
    const calls: string[] = [];
    const shown = (path: string) => path.slice(root.length).replace(/\d+-[0-9a-f]+/, "*") || "/";
    const files: FileSystem = {
      ...nodeFileSystem,
      async fdatasync(fd) {
        await nodeFileSystem.fdatasync(fd);
        calls.push("bytes");
      },
      async link(existing, path) {
        await nodeFileSystem.link(existing, path);
        calls.push(`link ${shown(path)}`);
      },
      async syncFolder(path) {
        await nodeFileSystem.syncFolder(path);
        calls.push(`names ${shown(path)}`);
      },
    };
    const store = await openFileStore({ root, files });
    async function callsOf(act: () => Promise<unknown>): Promise<readonly string[]> {
      calls.length = 0;
      await act();
      return [...calls];
    }
    const x = Buffer.from("x");

    const first = ["names /a/b", "names /a", "names /"];
    expect(await callsOf(() => store.put("a/b/object", x))).toEqual(["bytes", "link /a/b/object", ...first]);
    expect(await callsOf(() => store.put("a/b/object", x))).toEqual(["bytes", "names /a/b"]);
    const record = ["bytes", "link /a/b/record@1", "names /a/b"];
    expect(await callsOf(() => store.swap("a/b/record", x, undefined))).toEqual(record);
    expect(await callsOf(() => store.append("a/c/log", x, 0))).toEqual(["bytes", "names /a/c", "names /a"]);
    expect(await callsOf(() => store.append("a/c/log", x, 1))).toEqual(["bytes"]);
    expect(await callsOf(() => store.sync(["a/c/log"]))).toEqual(["bytes", "names /a/c"]);
    expect(await callsOf(() => store.delete("a/b/object"))).toEqual(["names /a/b"]);
    await store.close();
  });

  it("breaks for good when a sync fails, and never tries it again", async () => {
    let syncs = 0;
    const files: FileSystem = {
      ...nodeFileSystem,
      async fdatasync(fd) {
        if (++syncs === 3) throw failing("EIO");
        await nodeFileSystem.fdatasync(fd);
      },
    };
    const store = await openFileStore({ root, files });
    await store.append("log", Buffer.from("a"), 0);

    await expect(store.append("log", Buffer.from("b"), 1)).rejects.toThrow(StoreBroken);
    await expect(store.append("log", Buffer.from("b"), 1)).rejects.toThrow(StoreBroken);
    await expect(store.append("another", Buffer.from("b"), 0)).rejects.toThrow(StoreBroken);
    await expect(store.put("object", Buffer.from("b"))).rejects.toThrow(StoreBroken);
    expect(syncs).toBe(3);
    await store.close();
  });

  it("says that the disk is full, keeps what was acknowledged and leaves no temporary file", async () => {
    let isFull = false;
    const files: FileSystem = {
      ...nodeFileSystem,
      async write(fd, bytes) {
        if (!isFull) return await nodeFileSystem.write(fd, bytes);
        if (bytes.length < 3) throw failing("ENOSPC");
        return await nodeFileSystem.write(fd, bytes.subarray(0, bytes.length - 2));
      },
    };
    const store = await openFileStore({ root, files });
    await store.append("log", Buffer.from("kept "), 0);
    isFull = true;

    await expect(store.put("object", Buffer.from("too much"))).rejects.toThrow("ENOSPC");
    await expect(store.append("log", Buffer.from("too much"), 5)).rejects.toThrow(StoreBroken);
    isFull = false;
    await expect(store.append("log", Buffer.from("too much"), 5)).rejects.toThrow(StoreBroken);
    expect((await store.get("log"))?.bytes.toString()).toMatch(/^kept /);
    expect(await store.get("object")).toBeUndefined();
    expect(await readdir(join(root, "@tmp"))).toEqual([]);
    await store.close();
  });

  it("removes what dead processes left half-written, also when another process has their number by now", async () => {
    const own = fileNameOf(identify(process.pid));
    const [living, dead] = [`${own}-00`, `${String(process.pid)}.1-00`];
    await mkdir(join(root, "@tmp"));
    for (const name of [living, dead, "4194305.1-00", "rubbish"]) await writeFile(join(root, "@tmp", name), "half");

    const store = await openFileStore({ root });
    expect(await readdir(join(root, "@tmp"))).toEqual([living]);
    await store.close();
  });
});
