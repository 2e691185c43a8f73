import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Doubts } from "../../services/worker/doubts.ts";
import type { StoodDown } from "../../services/worker/leaving.ts";
import type { OthersSeen } from "../../services/worker/sickness.ts";
import { aFailure, aSuccess } from "../support/a-worker.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const GOOD: OthersSeen = { succeeded: 100, failed: 0, wrote: true };
const BAD: OthersSeen = { succeeded: 0, failed: 4, wrote: true };
const BUSY: OthersSeen = { succeeded: 0, failed: 0, wrote: true };
const SILENT: OthersSeen = { succeeded: 0, failed: 0, wrote: false };

class Bench {
  readonly clock = new VirtualClock();
  readonly over = new AbortController();
  readonly charged: number[] = [];
  readonly told: number[] = [];
  readonly sick: StoodDown[] = [];
  listings = 0;
  others: OthersSeen = BUSY;
  idle = false;
  stoodDown = 0;
  readonly doubts: Doubts;
  readonly #watching: Promise<void>;

  constructor(over: { readonly hasOthers?: boolean } = {}) {
    this.doubts = new Doubts({
      ...{ clock: this.clock, lookMs: 4, leaseMs: 5_000, hasOthers: over.hasOthers ?? true },
      others: {
        sizes: () => {
          this.listings += 1;
          return Promise.resolve({ bytes: new Map<string, number>(), whole: true });
        },
        wroteBetween: () => Promise.resolve(this.others),
      },
      stoodDown: () => this.stoodDown,
      isIdle: () => this.idle,
      tell: ({ batch }) => this.told.push(batch),
      goOn: () => undefined,
      onSick: (why) => {
        this.sick.push(why);
        this.over.abort();
      },
    });
    this.#watching = this.doubts.watch(this.over.signal).catch(() => undefined); // ends by the signal
  }

  async fail(...batches: number[]): Promise<void> {
    for (const batch of batches) this.doubts.ended(aFailure(batch), () => this.charged.push(batch));
    await this.settle();
  }

  async succeed(batch: number): Promise<void> {
    this.doubts.ended(aSuccess(batch), () => this.charged.push(batch));
    await this.settle();
  }

  async pass(milliseconds: number): Promise<void> {
    for (let left = milliseconds; left > 0; left -= 50) {
      await this.clock.advance(Math.min(50, left));
      await this.settle();
    }
  }

  async settle(): Promise<void> {
    for (let turns = 0; turns < 6; turns += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  async end(): Promise<void> {
    this.over.abort();
    await this.#watching;
  }
}

describe("failed attempts of a worker", () => {
  it("are held back, and told to the others", async () => {
    const bench = new Bench();
    await bench.fail(0, 1);

    expect(bench.charged).toEqual([]);
    expect(bench.told).toEqual([0, 1]);
    expect(bench.doubts.size).toBe(2);
    await bench.end();
  });

  it("are never held back in a job with one worker", async () => {
    const bench = new Bench({ hasOthers: false });
    await bench.fail(0, 1, 2, 3);

    expect(bench.charged).toEqual([0, 1, 2, 3]);
    expect(bench.listings).toBe(0);
    await bench.end();
  });

  it("are charged before the success that ends the run", async () => {
    const bench = new Bench();
    await bench.fail(0, 1);
    await bench.succeed(2);

    expect(bench.charged).toEqual([0, 1, 2]);
    expect(bench.doubts.mayBegin(5)).toBe(true);
    await bench.end();
  });

  it("are charged within 0.2 s when there is nothing else to do", async () => {
    const bench = new Bench();
    bench.idle = true;
    await bench.fail(0);
    await bench.pass(100);
    expect(bench.charged).toEqual([]);
    await bench.pass(200);

    expect(bench.charged).toEqual([0]);
    await bench.end();
  });

  it("are charged within 5 s when nothing is learned, one batch at a time meanwhile", async () => {
    const bench = new Bench();
    await bench.fail(0);
    await bench.fail(1, 2);
    expect([bench.doubts.mayBegin(1), bench.doubts.mayBegin(0), bench.doubts.mayBegin(0)]).toEqual([
      false,
      true,
      false,
    ]);
    await bench.pass(4_800);
    expect(bench.charged).toEqual([]);
    await bench.pass(400);

    expect(bench.charged).toEqual([0, 1, 2]);
    expect(bench.sick).toEqual([]);
    await bench.end();
  });

  it("are charged at once, and later ones too, when the others fail as well", async () => {
    const bench = new Bench();
    bench.others = BAD;
    await bench.fail(0);
    await bench.fail(1, 2);
    expect(bench.charged).toEqual([0, 1, 2]);
    await bench.fail(3, 4);
    expect(bench.charged).toEqual([0, 1, 2, 3, 4]);
    await bench.fail(5);
    expect(bench.doubts.size, "asked again after twice as many").toBe(1);
    await bench.pass(200);

    expect(bench.charged).toEqual([0, 1, 2, 3, 4, 5]);
    expect(bench.listings).toBeLessThan(6);
    await bench.end();
  });

  it("are nobody's when the others do well: the worker stands down, and says why", async () => {
    const bench = new Bench();
    bench.others = GOOD;
    await bench.fail(0, 1, 2);
    await bench.pass(200);
    await bench.fail(3);

    expect(bench.charged).toEqual([]);
    expect(bench.doubts.giveUp()).toBe(false);
    expect(bench.sick).toEqual([
      {
        error: "its last 3 batches failed while other workers did 100 of 100 well; the last one: boom",
        traceback: "tb",
      },
    ]);
    await bench.end();
  });

  it("make it stand down only after a longer run once other workers stood down", async () => {
    const bench = new Bench();
    [bench.others, bench.stoodDown] = [GOOD, 1];
    await bench.fail(0, 1, 2, 3, 4);
    await bench.pass(200);
    expect(bench.sick).toEqual([]);
    await bench.fail(5);
    await bench.pass(200);

    expect(bench.sick).toHaveLength(1);
  });

  it("are charged when it leaves for another reason", async () => {
    const bench = new Bench();
    await bench.fail(0, 1);

    expect(bench.doubts.giveUp()).toBe(true);
    expect(bench.charged).toEqual([0, 1]);
    expect(bench.doubts.giveUp()).toBe(false);
    await bench.end();
  });

  it("leave no timer and no loop behind", async () => {
    const bench = new Bench();
    await bench.fail(0, 1, 2);
    await bench.end();

    expect(bench.clock.sleeping).toBe(0);
  });

  it("are each charged exactly once or kept by a worker that stands down, whatever comes in whatever order", async () => {
    const steps = fc.array(
      fc.oneof(
        { weight: 6, arbitrary: fc.constant("fail" as const) },
        { weight: 2, arbitrary: fc.constant("succeed" as const) },
        { weight: 2, arbitrary: fc.integer({ min: 50, max: 3_000 }) },
        { weight: 2, arbitrary: fc.constantFrom(GOOD, BAD, BUSY, SILENT) },
        { weight: 1, arbitrary: fc.boolean() },
      ),
      { minLength: 1, maxLength: 25 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (script) => {
        const bench = new Bench();
        let batch = 0;
        for (const step of script) {
          if (bench.sick.length > 0) break;
          if (step === "fail") await bench.fail(batch++);
          else if (step === "succeed") await bench.succeed(batch++);
          else if (typeof step === "number") await bench.pass(step);
          else if (typeof step === "boolean") bench.idle = step;
          else bench.others = step;
        }
        if (bench.sick.length === 0) await bench.pass(6_000);

        expect(bench.charged.length + bench.doubts.size).toBe(batch);
        expect(new Set(bench.charged).size).toBe(bench.charged.length);
        if (bench.sick.length === 0) expect(bench.doubts.size, "nothing is held back for longer").toBe(0);
        await bench.end();
      }),
      { numRuns: 40 },
    );
  });
});
