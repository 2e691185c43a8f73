import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startCommand } from "../support/a-command.ts";
import { processesOf } from "../support/a-service.ts";
import { maskedTranscript } from "../support/demo-transcript.ts";

/** It may have to install the model first. */
const SECONDS_MAX = 400;

describe("the demo", () => {
  it(
    "loses nothing though a worker is killed, says what its transcript says, and leaves nothing running",
    async () => {
      const mark = await mkdtemp(join(tmpdir(), "millrace-demo-"));
      const demo = startCommand("demo.ts", [], { root: mark, mark: { SYSTEM_TEST_ROOT: mark } });
      try {
        expect(await demo.ended, demo.out() + demo.err()).toBe(0);
        expect(demo.out()).toMatch(/^[\d,]+ succeeded \+ 0 failed = ([\d,]+) of \1, 0 lost, 0 twice/m);
        expect(demo.out() + demo.err()).not.toContain("\x1b");
        await expect(maskedTranscript(demo.out())).toMatchFileSnapshot("../golden/demo.txt");
        expect(processesOf(mark)).toEqual([]);
      } finally {
        demo.kill("SIGKILL");
        await rm(mark, { recursive: true });
      }
    },
    SECONDS_MAX * 1000,
  );
});
