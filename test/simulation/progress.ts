import type { StateRecord } from "../../services/protocol/jobs.ts";
import type { World } from "./world.ts";

/**
 * I8: what a job's record tells of its progress never falls, whoever drives it, and nothing in it is negative.
 * I9: it tells of no failed batch before what is durable shows that no attempt of it is left.
 */
export class Progress {
  readonly #world: World;
  /** Settled batches, as told last, by job. */
  readonly #settled = new Map<string, number>();

  /** The most batches that ledgers and verdicts have ever shown as failed for good, by job. */
  readonly #failed = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Something durable was folded, and so many batches have failed for good. */
  folded(job: string, failed: number): void {
    if (failed > (this.#failed.get(job) ?? 0)) this.#failed.set(job, failed);
  }

  told(job: string, { live, counts }: StateRecord): void {
    const now = counts ?? live?.counts;
    if (now === undefined) return;
    if (live !== null) this.#world.count("progress told");
    if (now.batches_failed > 0) this.#world.count("failed batch told");
    if (now.batches_failed > (this.#failed.get(job) ?? 0))
      this.#world.broken(`I9: job ${job} tells of ${String(now.batches_failed)} failed batches, and attempts are left`);
    const settled = now.batches_succeeded + now.batches_failed;
    const before = this.#settled.get(job) ?? 0;
    if (settled < before) {
      this.#world.broken(`I8: job ${job} had ${String(before)} settled batches, and has ${String(settled)}`);
    }
    this.#settled.set(job, settled);
    const { batches_waiting: waiting = 0, batches_running: running = 0 } = live ?? {};
    const least = Math.min(waiting, running, now.batches - settled, now.items - now.items_succeeded - now.items_failed);
    if (least < 0) this.#world.broken(`I8: job ${job} tells of less than nothing: ${JSON.stringify(live ?? counts)}`);
  }
}
