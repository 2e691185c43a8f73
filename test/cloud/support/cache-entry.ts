import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

/** Something that is made once and kept. */
export interface CacheEntry {
  /** Its folder's name; holds a hash of all that its content depends on, so that an entry never goes stale. */
  readonly folder: string;
  /** For the reader of a first run: what is made, and about how long that takes. */
  readonly what: string;
  /** Entries of one maker are made one at a time and share a scratch folder; its own folder's name when it names none. */
  readonly maker?: string;
  /**
   * Makes the content.
   *
   * @param into an empty folder, which becomes the entry when this has succeeded
   * @param scratch a folder for what is needed meanwhile, removed afterwards
   */
  make(into: string, scratch: string): Promise<void>;
}

export function cacheFolder(environment: NodeJS.ProcessEnv): string {
  const xdg = environment["XDG_CACHE_HOME"] ?? "";
  return join(xdg === "" ? join(homedir(), ".cache") : xdg, "millrace-test-servers");
}

/** A short hash of several texts; texts that are divided otherwise have another one. */
export function keyOf(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 12);
}

/**
 * The folders of the entries, in their order; makes those that are missing, one after the other. Of several processes that miss the
 * same, one makes it and the others wait.
 */
export async function ensureEntries<const Entries extends readonly CacheEntry[]>(
  cache: string,
  entries: Entries,
): Promise<{ [At in keyof Entries]: string }> {
  const missing = entries.filter((entry) => !existsSync(join(cache, entry.folder)));
  if (missing.length > 0) await mkdir(cache, { recursive: true });
  for (const [maker, itsEntries] of Map.groupBy(missing, (entry) => entry.maker ?? entry.folder)) {
    await whileLocked(join(cache, `${maker}.lock`), () => makeMissing(cache, maker, itsEntries));
  }
  return entries.map((entry) => join(cache, entry.folder)) as { [At in keyof Entries]: string };
}

/** Only for the holder of the maker's lock: what lies in the scratch folder then belongs to a process that was killed. */
async function makeMissing(cache: string, maker: string, entries: readonly CacheEntry[]): Promise<void> {
  const scratch = join(cache, `${maker}.making`);
  await rm(scratch, { recursive: true, force: true });
  await mkdir(scratch);
  try {
    for (const entry of entries) {
      if (existsSync(join(cache, entry.folder))) continue; // made while this process waited
      const into = join(scratch, entry.folder);
      await mkdir(into);
      const startedAt = performance.now();
      process.stderr.write(`test servers: ${entry.what}\n`);
      await entry.make(into, scratch);
      await rename(into, join(cache, entry.folder));
      process.stderr.write(`test servers: done in ${((performance.now() - startedAt) / 1000).toFixed(0)} s\n`);
    }
  } finally {
    await rm(scratch, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Holds the kernel's lock on a file through flock(1), which ends with this process, however that ends. */
async function whileLocked(path: string, act: () => Promise<void>): Promise<void> {
  const holder = spawn("flock", [path, "sh", "-c", "echo locked; exec cat"], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise<void>((resolve) => holder.once("close", () => resolve()));
  const told = setTimeout(() => process.stderr.write(`test servers: waiting for a run that holds ${path}\n`), 3000);
  await new Promise<void>((resolve, reject) => {
    holder.stdout.once("data", () => resolve());
    holder.once("error", (error) => reject(new Error("test servers: flock of util-linux is needed", { cause: error })));
    holder.once("close", () => reject(new Error(`test servers: ${path} could not be locked`)));
  }).finally(() => clearTimeout(told));
  try {
    await act();
  } finally {
    holder.stdin.end();
    await ended;
  }
}

/**
 * Runs a tool of a first run to its end; it is killed when this process ends before, in whatever way.
 *
 * @throws {Error} with the last lines of what it said, when it fails or cannot be started
 */
export async function runTool(
  file: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv },
): Promise<string> {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", file, ...args], {
    ...options,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  let answered = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (answered += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-20_000)));
  const end = await new Promise<string>((resolve) => {
    child.once("error", () => resolve("setpriv of util-linux is needed"));
    child.once("close", (code, signal) => resolve(signal ?? `exit ${String(code)}`));
  });
  if (end === "exit 0") return answered;
  const last = (answered + said).trimEnd().split("\n").slice(-20).join("\n");
  throw new Error(`test servers: ${file} ${args.slice(0, 2).join(" ")} failed (${end})\n${last}`);
}
