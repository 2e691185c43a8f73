import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { GenerationName, PoolWorker, WorkerPool } from "../../services/backends/worker-pool.ts";

/** What a worker of the test does: leaves when asked with 75, ends at once with 3, or never listens. */
export type WorkerManner = "polite" | "ends" | "deaf";

export interface PoolUnderTest {
  readonly pool: WorkerPool;
  /** Resolves when so many workers have begun to behave in their manner. */
  untilUp(workers: number): Promise<void>;
  close(): Promise<void>;
}

const NAME: GenerationName = { api: "api", job: "00000000000000aa", lane: 0, epoch: 2, generation: 0 };

/** What `WorkerPool` promises, sentence by sentence. */
export function workerPoolContract(name: string, open: (manner: WorkerManner) => Promise<PoolUnderTest>): void {
  describe(`${name} as a worker pool`, () => {
    let under: PoolUnderTest;
    let pool: WorkerPool;
    const use = async (manner: WorkerManner) => {
      under = await open(manner);
      pool = under.pool;
    };
    const workers = (epoch = NAME.epoch) => pool.workers(NAME.job, epoch);
    const until = async (holds: (workers: readonly PoolWorker[]) => boolean) => {
      while (!holds(await workers())) await new Promise((resolve) => setTimeout(resolve, 5));
    };

    beforeEach(() => use("polite"));
    afterEach(() => under.close());

    it("starts a generation's workers with indexes from 0, each under its incarnation's name", async () => {
      await pool.start(NAME, 3);

      const started = await workers();
      expect(started.map(({ index }) => index)).toEqual([0, 1, 2]);
      expect(started.every(({ generation, phase }) => generation === 0 && phase !== "ended")).toBe(true);
      await until((all) => all.every(({ phase }) => phase === "running"));
      for (const { worker, index } of await workers()) expect(worker).toMatch(new RegExp(`^2-0-${String(index)}-.+$`));
    });

    it("starts a generation once", async () => {
      await pool.start(NAME, 2);
      await pool.start(NAME, 3);

      expect(await workers()).toHaveLength(2);
    });

    it("holds generations of one job side by side", async () => {
      await pool.start(NAME, 1);
      await pool.start({ ...NAME, generation: 1 }, 2);

      expect((await workers()).map(({ generation, index }) => [generation, index])).toEqual([
        [0, 0],
        [1, 0],
        [1, 1],
      ]);
    });

    it("raises a generation's size and never lowers it", async () => {
      await pool.start(NAME, 1);

      await pool.resize(NAME, 3);
      await pool.resize(NAME, 2);

      expect((await workers()).map(({ index }) => index)).toEqual([0, 1, 2]);
    });

    it("does nothing when it shall resize a generation that does not exist", async () => {
      await pool.resize(NAME, 3);

      expect(await workers()).toEqual([]);
    });

    it("remembers ended workers with their exit codes", async () => {
      await under.close();
      await use("ends");
      await pool.start(NAME, 1);

      await until((all) => all.some(({ phase }) => phase === "ended"));

      expect((await workers())[0]).toMatchObject({ index: 0, phase: "ended", exitCode: 3 });
    });

    it("stops workers of this and older epochs, and leaves those of later ones and of other jobs alone", async () => {
      const other = { ...NAME, job: "00000000000000ab" };
      for (const epoch of [1, 2, 3]) await pool.start({ ...NAME, epoch }, 1);
      await pool.start(other, 1);

      await pool.stop(NAME.job, 2);

      expect((await workers(1))[0]?.phase).toBe("ended");
      expect((await workers(2))[0]?.phase).toBe("ended");
      expect((await workers(3))[0]?.phase).not.toBe("ended");
      expect((await pool.workers(other.job, other.epoch))[0]?.phase).not.toBe("ended");
    });

    it("kills those that do not leave within the grace", async () => {
      await under.close();
      await use("deaf");
      await pool.start(NAME, 2);
      await under.untilUp(2);

      await pool.stop(NAME.job, NAME.epoch);

      expect((await workers()).map(({ phase, signal }) => [phase, signal])).toEqual([
        ["ended", "SIGKILL"],
        ["ended", "SIGKILL"],
      ]);
    });

    it("answers a probe", async () => {
      await expect(pool.probe()).resolves.toBeUndefined();
    });
  });
}
