import { lstat, mkdir, mkdtemp, readFile, readdir, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { realClock } from "../../services/backends/clock.real.ts";
import {
  environmentEnd,
  packEnvironment,
  packRequest,
  readRequest,
  unpackEnvironment,
  type EnvironmentPlace,
} from "../../services/backends/environment-archive.ts";
import { MemoryStore } from "../../services/backends/object-store.memory.ts";
import { aProject } from "../support/project-folder.ts";

const FOLDER = "0123abcd";
let scratch: string;
let store: MemoryStore;
let place: EnvironmentPlace;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), "millrace-archive-"));
  store = new MemoryStore({ clock: realClock });
  place = { store, api: "photos", key: "e1" };
});

afterEach(async () => {
  await rm(scratch, { recursive: true, force: true });
});

/** What a virtual environment is made of: folders, programs, and links that stay inside or lead to the machine's Python. */
async function anEnvironment(name: string, said = "hello"): Promise<string> {
  const root = join(scratch, name);
  const made = join(root, "environments", FOLDER);
  await mkdir(join(made, "1", "bin"), { recursive: true });
  await symlink("1", join(made, "current"));
  await symlink("/usr/bin/python3", join(made, "1", "bin", "python"));
  await writeFile(join(made, "1", "bin", "greet"), `#!${made}/1/bin/python\n`, { mode: 0o755 });
  await writeFile(join(made, "1", "greeting.py"), `WORD = '${said}'\n`);
  return root;
}

async function keys(): Promise<readonly string[]> {
  const prefix = "apis/photos/environments/e1/";
  return (await store.list(prefix)).entries.map(({ key }) => key.slice(prefix.length));
}

async function wordIn(root: string): Promise<string> {
  return readFile(join(root, "environments", FOLDER, "current", "greeting.py"), "utf8");
}

/** A store that does something right before it writes a certain key. */
function before(suffix: string, act: () => Promise<void>): EnvironmentPlace {
  const put = async (key: string, bytes: Buffer) => {
    if (key.endsWith(suffix)) await act();
    return store.put(key, bytes);
  };
  const wrapped = Object.create(store, { put: { value: put } }) as MemoryStore;
  const names = ["get", "list", "delete"] as const;
  for (const name of names) Object.defineProperty(wrapped, name, { value: store[name].bind(store) });
  return { ...place, store: wrapped };
}

describe("an environment in a store", () => {
  it("is laid out as it was packed: links, modes, contents", async () => {
    await packEnvironment(place, await anEnvironment("builder"), FOLDER, "b1");
    const root = join(scratch, "worker");

    const python = await unpackEnvironment(place, root);

    expect(python).toBe(join(root, "environments", FOLDER, "current", "bin", "python"));
    expect(await readlink(python)).toBe("/usr/bin/python3");
    const folder = join(root, "environments", FOLDER);
    expect(await readlink(join(folder, "current"))).toBe("1");
    expect((await lstat(join(folder, "1", "bin", "greet"))).mode & 0o777).toBe(0o755);
    expect(await wordIn(root)).toBe("WORD = 'hello'\n");
    expect(await readdir(join(root, "environments"))).toEqual([FOLDER]);
    expect(await environmentEnd(place)).toMatchObject({ format: 1, builder: "b1", parts: 1, folder: FOLDER });
    expect(await keys()).toEqual(["b1-00000000", "end.json"]);
  });

  it("is found by whoever comes later or at the same time", async () => {
    await packEnvironment(place, await anEnvironment("builder"), FOLDER, "b1");
    const root = join(scratch, "worker");

    const pythons = await Promise.all([1, 2, 3].map(() => unpackEnvironment(place, root)));
    store.get = (key) => (key.endsWith("end.json") ? Reflect.apply(MemoryStore.prototype.get, store, [key]) : fail());
    pythons.push(await unpackEnvironment(place, root));

    expect(new Set(pythons).size).toBe(1);
    expect(await readdir(join(root, "environments"))).toEqual([FOLDER]);
  });

  it.each([
    ["after", "end.json"],
    ["before", "b2-00000000"],
  ])("is that of the first of two builders that ends, %s the other wrote its parts, which go", async (_, moment) => {
    const [first, second] = [await anEnvironment("first", "hello"), await anEnvironment("second", "good day")];
    const overtaken = before(moment, () => packEnvironment(place, first, FOLDER, "b1"));

    await packEnvironment(overtaken, second, FOLDER, "b2");

    expect(await keys()).toEqual(["b1-00000000", "end.json"]);
    const root = join(scratch, "worker");
    await unpackEnvironment(place, root);
    expect(await wordIn(root)).toBe("WORD = 'hello'\n");
  });

  it("is not there when its builder died before the end, and the next builder removes what is left", async () => {
    await store.put("apis/photos/environments/e1/request.tar.gz", Buffer.from("asked"));
    const dies = before("end.json", () => Promise.reject(new Error("killed")));
    await expect(packEnvironment(dies, await anEnvironment("first"), FOLDER, "b1")).rejects.toThrow("killed");
    const root = join(scratch, "worker");

    expect(await environmentEnd(place)).toBeUndefined();
    await expect(unpackEnvironment(place, root)).rejects.toThrow(
      "environment e1 of API photos is gone from the store; deploy the API again",
    );
    await packEnvironment(place, await anEnvironment("second", "good day"), FOLDER, "b2");

    expect(await keys()).toEqual(["b2-00000000", "end.json", "request.tar.gz"]);
    await unpackEnvironment(place, root);
    expect(await wordIn(root)).toBe("WORD = 'good day'\n");
  });

  it("is cut into parts, and one that is missing or damaged leaves nothing that looks complete", async () => {
    const builder = await anEnvironment("builder");
    const noise = Buffer.alloc(17 * 1024 * 1024);
    let seed = 1;
    for (let at = 0; at < noise.length; at += 4)
      noise.writeUInt32LE((seed = (seed * 1_664_525 + 1_013_904_223) >>> 0), at);
    await writeFile(join(builder, "environments", FOLDER, "1", "model"), noise);
    await packEnvironment(place, builder, FOLDER, "b1");
    expect(await keys()).toEqual(["b1-00000000", "b1-00000001", "end.json"]);
    const root = join(scratch, "worker");
    const last = "apis/photos/environments/e1/b1-00000001";
    const whole = (await store.get(last))?.bytes ?? Buffer.of();

    await store.delete(last);
    await expect(unpackEnvironment(place, root)).rejects.toThrow("part 1 of environment e1 is gone from the store");
    await store.put(last, whole.subarray(0, 1000));
    await expect(unpackEnvironment(place, root)).rejects.toThrow();
    expect(await readdir(join(root, "environments"))).toEqual([]);
    await store.delete(last);
    await store.put(last, whole);
    await unpackEnvironment(place, root);

    const unpacked = await readFile(join(root, "environments", FOLDER, "1", "model"));
    expect(unpacked.equals(noise)).toBe(true);
  });

  it("says that tar failed, not that its pipe broke", async () => {
    await expect(packEnvironment(place, scratch, "nowhere", "b1")).rejects.toThrow(/^tar could not pack/);
    expect(await environmentEnd(place)).toBeUndefined();
  });
});

describe("a builder's request", () => {
  it("holds the files and which of them ask", async () => {
    const files = aProject({ "handler.py": "", "needs.txt": "greeting\n" });
    const dependencies = { pip: "needs.txt", conda: "conda.txt", shell: "install.sh" };
    await store.put("apis/photos/environments/e1/request.tar.gz", await packRequest({ files, dependencies }));

    const request = await readRequest(place);

    expect([...request.files.keys()]).toEqual(["handler.py", "needs.txt"]);
    expect(request.dependencies).toEqual(dependencies);
    await expect(readRequest({ ...place, key: "e2" })).rejects.toThrow(
      /^nobody asked for environment e2 of API photos/,
    );
  });
});

function fail(): never {
  throw new Error("nothing is read twice");
}
