import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { type CacheEntry, cacheFolder, ensureEntries, keyOf, runTool } from "./cache-entry.ts";

let cache: string;
beforeEach(async () => {
  cache = join(await mkdtemp(join(tmpdir(), "millrace-cache-entry-")), "cache");
});
afterEach(async () => {
  await rm(join(cache, ".."), { recursive: true });
});

function entryThat(make: CacheEntry["make"]): CacheEntry {
  return { folder: "thing-1", what: "making a thing of a test", make };
}

const content = entryThat((into) => writeFile(join(into, "thing"), "made"));

async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => !name.endsWith(".lock"));
}

describe("the cache of test servers", () => {
  it("lies where XDG_CACHE_HOME says, or in the home folder", () => {
    expect(cacheFolder({ XDG_CACHE_HOME: "/caches" })).toBe("/caches/millrace-test-servers");
    expect(cacheFolder({ XDG_CACHE_HOME: "" })).toMatch(/\/\.cache\/millrace-test-servers$/);
  });

  it("makes an entry once, however many ask for it together", async () => {
    let times = 0;
    const counted = entryThat(async (into, scratch) => {
      times += 1;
      await content.make(into, scratch);
    });

    const folders = await Promise.all([1, 2, 3].map(() => ensureEntries(cache, [counted])));
    await ensureEntries(cache, [counted]);

    expect(times).toBe(1);
    expect(folders.flat()).toEqual([1, 2, 3].map(() => join(cache, "thing-1")));
    expect(await readFile(join(cache, "thing-1", "thing"), "utf8")).toBe("made");
  });

  it("keeps nothing of an entry that could not be made, and makes it when asked again", async () => {
    const breaks = entryThat(async (into) => {
      await writeFile(join(into, "half"), "");
      throw new Error("no disk");
    });

    await expect(ensureEntries(cache, [breaks])).rejects.toThrow("no disk");

    expect(await namesIn(cache)).toEqual([]);
    await ensureEntries(cache, [content]);
    expect(await namesIn(join(cache, "thing-1"))).toEqual(["thing"]);
  });

  it("removes what a killed process left half-made, and its lock", async () => {
    await mkdir(cache);
    const killed = spawn(process.execPath, ["--input-type=module", "-e", forever(cache)], { stdio: "pipe" });
    onTestFinished(() => void killed.kill("SIGKILL"));
    await new Promise((resolve) => killed.stdout.once("data", resolve));
    expect(existsSync(join(cache, "thing-1.making", "thing-1", "half"))).toBe(true);
    killed.kill("SIGKILL");

    await ensureEntries(cache, [content]);

    expect(await namesIn(cache)).toEqual(["thing-1"]);
    expect(await namesIn(join(cache, "thing-1"))).toEqual(["thing"]);
  });

  it("has another key for texts that are divided otherwise", () => {
    expect(keyOf(["ab", "c"])).not.toBe(keyOf(["a", "bc"]));
  });
});

describe("a tool of a first run", () => {
  it("answers what it wrote", async () => {
    expect(await runTool("echo", ["hello"], {})).toBe("hello\n");
  });

  it("tells its last words when it fails, and itself when it is not there", async () => {
    await expect(runTool("sh", ["-c", "echo no room >&2; exit 3"], {})).rejects.toThrow(/exit 3.*\n.*no room/);
    await expect(runTool("no-such-tool-here", [], {})).rejects.toThrow(/no-such-tool-here.*exit 127/);
  });

  it("does not outlive who started it", async () => {
    const program = `
      import { runTool } from ${JSON.stringify(join(import.meta.dirname, "cache-entry.ts"))};
      await runTool("sh", ["-c", "echo $$ > pid; exec sleep 600"], { cwd: process.argv[1] });`;
    await mkdir(cache);
    const starter = spawn(process.execPath, ["--input-type=module", "-e", program, cache], { stdio: "ignore" });
    onTestFinished(() => void starter.kill("SIGKILL"));
    const pid = Number(await vi.waitUntil(() => contentOf(join(cache, "pid")), { timeout: 20_000 }));
    expect(isAlive(pid)).toBe(true);

    starter.kill("SIGKILL");

    await vi.waitUntil(() => !isAlive(pid), { timeout: 20_000 });
  });
});

function contentOf(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

/** Not dead, and not a zombie that nobody has reaped yet. */
function isAlive(pid: number): boolean {
  const state = contentOf(`/proc/${String(pid)}/stat`).split(") ")[1]?.[0];
  return state !== undefined && state !== "Z";
}

/** A program that begins to make the entry and never ends. */
function forever(folder: string): string {
  return `
    import { writeFileSync } from "node:fs";
    import { ensureEntries } from ${JSON.stringify(join(import.meta.dirname, "cache-entry.ts"))};
    await ensureEntries(${JSON.stringify(folder)}, [{ folder: "thing-1", what: "never done", async make(into) {
      writeFileSync(into + "/half", "");
      process.stdout.write("begun\\n");
      await new Promise(() => setInterval(() => {}, 1000));
    } }]);`;
}
