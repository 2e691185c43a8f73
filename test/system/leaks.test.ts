import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import type { LeakReport } from "./leaks/tiny-jobs.ts";

/** What fits on two busy processors; `node --expose-gc test/system/leaks/tiny-jobs.ts --jobs 10000` is the whole. */
const JOBS = 300;
const TEST_MS = 300_000;
const PROGRAM = join(import.meta.dirname, "leaks/tiny-jobs.ts");
/** What a heap of this size gains and loses between two collections, compiled code included. */
const HEAP_NOISE_BYTES = 8 * 1024 * 1024;

describe("one service through which many tiny jobs go", () => {
  it(
    "gives back memory, descriptors, timers and files, and forgets the jobs",
    async () => {
      const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", PROGRAM, "--jobs", String(JOBS)]);
      const { jobs, seconds, before, after } = JSON.parse(stdout) as LeakReport;

      process.stdout.write(
        `${String(jobs)} tiny jobs in ${seconds.toFixed(0)} s: ${JSON.stringify({ before, after })}\n`,
      );
      expect(jobs).toBe(JOBS);
      // bounded caches may still fill up; one entry for each job may not
      expect(after.jobsRemembered - before.jobsRemembered).toBeLessThan(JOBS / 2);
      expect(after.heapBytes - before.heapBytes).toBeLessThan(HEAP_NOISE_BYTES);
      expect(after.descriptors).toBeLessThanOrEqual(before.descriptors);
      expect(after.resources).toEqual(before.resources);
      expect(after.temporaryFiles).toBe(0);
    },
    TEST_MS,
  );
});
