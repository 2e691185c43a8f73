import type { PoolWorker } from "../worker-pool.ts";

/** Stopped (job, epoch) pairs that are remembered: a service runs thousands of jobs in its life. */
const STOPPED_KEPT = 100;
/** Workers remembered of one (job, epoch): a job of months on Spot instances sees thousands of ends. */
const WORKERS_KEPT = 20_000;

/**
 * Ends that this process saw, by (job, epoch) and the pod's uid: they outlive the pods. Nothing rests on them: another replica
 * sees only what the API server still shows, and counts who is not there as lost two leases after its ledger's last growth.
 */
export class EndedWorkers {
  readonly #epochs = new Map<string, { readonly workers: Map<string, PoolWorker>; stopped: boolean }>();

  of(job: string, epoch: number): ReadonlyMap<string, PoolWorker> {
    return this.#epochs.get(keyOf(job, epoch))?.workers ?? new Map<string, PoolWorker>();
  }

  /** Answers whether it is news. What was seen first stays: an end does not change. */
  add(job: string, epoch: number, uid: string, worker: PoolWorker): boolean {
    const { workers } = this.#open(job, epoch);
    if (workers.has(uid)) return false;
    workers.set(uid, worker);
    for (const oldest of workers.keys()) {
      if (workers.size <= WORKERS_KEPT) break;
      workers.delete(oldest);
    }
    return true;
  }

  /** From now on these may be forgotten, the oldest stop first. */
  stopped(job: string, epoch: number): void {
    const key = keyOf(job, epoch);
    const known = this.#open(job, epoch);
    known.stopped = true;
    this.#epochs.delete(key);
    this.#epochs.set(key, known);
    let count = [...this.#epochs.values()].filter(({ stopped }) => stopped).length;
    for (const [oldest, { stopped }] of this.#epochs) {
      if (count <= STOPPED_KEPT) break;
      if (!stopped) continue;
      this.#epochs.delete(oldest);
      count -= 1;
    }
  }

  #open(job: string, epoch: number) {
    const key = keyOf(job, epoch);
    const known = this.#epochs.get(key) ?? { workers: new Map<string, PoolWorker>(), stopped: false };
    this.#epochs.set(key, known);
    return known;
  }
}

function keyOf(job: string, epoch: number): string {
  return `${job}-${String(epoch)}`;
}
