import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { MemoryGauge } from "./memory-gauge.ts";

/** Where a container sees its own control group, and all processes. */
const CGROUP = "/sys/fs/cgroup";
const PROC = "/proc";
const PAGE_BYTES = 4096;
/** Version 1 says "no limit" by a number that no machine has. */
const NO_LIMIT_BYTES = 2 ** 60;

interface Files {
  readonly usage: string;
  readonly limit: string;
  readonly stat: string;
  /** Fields of `stat`: what is cached of files. */
  readonly cached: readonly string[];
}

/** https://docs.kernel.org/admin-guide/cgroup-v2.html and cgroup-v1/memory.html */
const VERSIONS: readonly Files[] = [
  { usage: "memory.current", limit: "memory.max", stat: "memory.stat", cached: ["active_file", "inactive_file"] },
  {
    usage: "memory/memory.usage_in_bytes",
    limit: "memory/memory.limit_in_bytes",
    stat: "memory/memory.stat",
    cached: ["total_active_file", "total_inactive_file"],
  },
];

/** Reads the control group of this container, of version 2 or 1. */
export class CgroupMemory implements MemoryGauge {
  readonly #root: string;
  readonly #proc: string;
  #files: Files | undefined;

  constructor(root = CGROUP, proc = PROC) {
    this.#root = root;
    this.#proc = proc;
  }

  async usedShare(): Promise<number | undefined> {
    const files = (this.#files ??= await this.#found());
    if (files === undefined) return undefined;
    const [usage, limit, stat] = await Promise.all(
      [files.usage, files.limit, files.stat].map((name) => this.#read(name)),
    );
    const limitBytes = Number(limit);
    if (!(limitBytes < NO_LIMIT_BYTES)) return undefined; // "max" is no number
    return (Number(usage) - cachedBytes(stat ?? "", files.cached)) / limitBytes;
  }

  async groupBytes(group: number): Promise<number> {
    let bytes = 0;
    for (const pid of await readdir(this.#proc)) if (/^\d+$/.test(pid)) bytes += await this.#bytesOf(pid, group);
    return bytes;
  }

  async #bytesOf(pid: string, group: number): Promise<number> {
    try {
      const stat = await readFile(join(this.#proc, pid, "stat"), "utf8");
      // Behind the command's name, which may hold anything: state, parent, group.
      const [, , inGroup] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (Number(inGroup) !== group) return 0;
      const [, resident] = (await readFile(join(this.#proc, pid, "statm"), "utf8")).split(" ");
      return Number(resident) * PAGE_BYTES;
    } catch {
      return 0; // it has ended since it was listed
    }
  }

  async #found(): Promise<Files | undefined> {
    for (const files of VERSIONS) {
      const there = await this.#read(files.limit).catch(() => undefined); // the other version, or no control group at all
      if (there !== undefined) return files;
    }
    return undefined;
  }

  async #read(name: string): Promise<string> {
    return (await readFile(join(this.#root, name), "utf8")).trim();
  }
}

function cachedBytes(stat: string, fields: readonly string[]): number {
  let bytes = 0;
  for (const line of stat.split("\n")) {
    const [name = "", value] = line.split(" ");
    if (fields.includes(name)) bytes += Number(value);
  }
  return bytes;
}
