import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CgroupMemory } from "../../services/backends/memory-gauge.cgroup.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-cgroup-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function write(files: Readonly<Record<string, string | number>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), `${String(content)}\n`);
  }
}

describe("the memory of a control group", () => {
  it("is what the kernel cannot take back, of version 2", async () => {
    const stat = "anon 500\nactive_file 100\ninactive_file 200\nshmem 7";
    await write({ "memory.current": 900, "memory.max": 1000, "memory.stat": stat });

    expect(await new CgroupMemory(folder).usedShare()).toBeCloseTo(0.6);
  });

  it("is what the kernel cannot take back, of version 1", async () => {
    const stat = "active_file 1\ninactive_file 1\ntotal_active_file 100\ntotal_inactive_file 0";
    await write({
      "memory/memory.usage_in_bytes": 900,
      "memory/memory.limit_in_bytes": 1000,
      "memory/memory.stat": stat,
    });

    expect(await new CgroupMemory(folder).usedShare()).toBeCloseTo(0.8);
  });

  it.each([
    ["of version 2", { "memory.current": 900, "memory.max": "max", "memory.stat": "" }],
    ["of version 1", { "memory/memory.usage_in_bytes": 9, "memory/memory.limit_in_bytes": "9223372036854771712", "memory/memory.stat": "" }], // prettier-ignore
    ["that is none", {}],
  ])("has no share where nothing limits it: %s", async (_, files) => {
    await write(files);

    expect(await new CgroupMemory(folder).usedShare()).toBeUndefined();
  });

  it("is told for a process group: all of its processes, whatever they are called", async () => {
    await write({
      "7/stat": "7 (python3) S 1 7 7 0",
      "7/statm": "100 10 1",
      "8/stat": "8 (a) b (c) S 7 7 7 0",
      "8/statm": "100 5 1",
      "9/stat": "9 (python3) S 1 9 9 0",
      "9/statm": "100 50 1",
      meminfo: "no process",
    });

    expect(await new CgroupMemory(folder, folder).groupBytes(7)).toBe(15 * 4096);
    expect(await new CgroupMemory().groupBytes(process.pid)).toBeLessThanOrEqual(process.memoryUsage.rss());
  });
});
