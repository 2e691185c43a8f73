import { describe, expect, it } from "vitest";
import { MemoryStore } from "../../services/backends/object-store.memory.ts";
import { jobKeys } from "../../services/protocol/keys.ts";
import { encodeLine, type LedgerLine } from "../../services/protocol/ledger.ts";
import { OtherWorkers } from "../../services/worker/other-workers.ts";
import { aFailure, anIdentity, aSuccess } from "../support/a-worker.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const IDENTITY = anIdentity();
const KEYS = jobKeys(IDENTITY.api, IDENTITY.job);
const succeeded = (batch: number): LedgerLine => ({ t: "outcome", ...aSuccess(batch).line });
const failed = (batch: number): LedgerLine => ({ t: "outcome", ...aFailure(batch).line });
const doubted = (batch: number): LedgerLine => ({ t: "doubted", batch, attempt: 1 });

class Bench {
  readonly store = new MemoryStore({ clock: new VirtualClock() });
  readonly others = new OtherWorkers(this.store, IDENTITY);

  async write(worker: string, ...lines: readonly (LedgerLine | string)[]): Promise<void> {
    const key = KEYS.ledger(worker, 0);
    const text = lines.map((line) => (typeof line === "string" ? line : encodeLine(line))).join("");
    await this.store.append(key, Buffer.from(text), (await this.store.size(key)) ?? 0);
  }

  async seenWhile(write: () => Promise<void>) {
    const before = await this.others.sizes();
    await write();
    return this.others.wroteBetween(before, await this.others.sizes());
  }
}

describe("what the other workers of a job write", () => {
  it("is counted from the mark on, of others alone, in ledgers that are new as well", async () => {
    const bench = new Bench();
    await bench.write("1-1-1-bb", succeeded(0), failed(1));

    const seen = await bench.seenWhile(async () => {
      await bench.write("1-1-1-bb", succeeded(2), succeeded(3));
      await bench.write("1-1-2-cc", { t: "ready", hook: false }, succeeded(4), failed(5));
      await bench.write(IDENTITY.name, failed(6), succeeded(7));
    });

    expect(seen).toEqual({ succeeded: 3, failed: 1, wrote: true });
  });

  it("counts a doubted attempt as failed, and once when it is charged later", async () => {
    const bench = new Bench();

    const seen = await bench.seenWhile(() => bench.write("1-1-1-bb", doubted(0), doubted(1), failed(0)));

    expect(seen).toEqual({ succeeded: 0, failed: 2, wrote: true });
  });

  it("leaves out a line that was half there at the mark, and one that is half there now", async () => {
    const bench = new Bench();
    const line = encodeLine(succeeded(0));
    await bench.write("1-1-1-bb", line.slice(0, 20));

    const seen = await bench.seenWhile(() => bench.write("1-1-1-bb", line.slice(20), failed(1), line.slice(0, 20)));

    expect(seen).toEqual({ succeeded: 0, failed: 1, wrote: true });
  });

  it("is a sample where there is much: the newest bytes of some ledgers", async () => {
    const bench = new Bench();
    const many = Array.from({ length: 1_000 }, (_, batch) => succeeded(batch));

    const seen = await bench.seenWhile(async () => {
      for (let worker = 0; worker < 40; worker += 1) await bench.write(`1-1-${String(worker + 1)}-dd`, ...many);
    });

    expect(seen.succeeded).toBeGreaterThan(5_000);
    expect(seen.succeeded).toBeLessThan(20_000);
  });

  it("is nothing while nobody writes", async () => {
    const bench = new Bench();
    await bench.write("1-1-1-bb", succeeded(0));

    expect(await bench.seenWhile(() => Promise.resolve())).toEqual({ succeeded: 0, failed: 0, wrote: false });
  });
});
