/** A driver over a watched world, for a job whose objects a test has laid out. */
import type { PoolWorker, WorkerPool } from "../../services/backends/worker-pool.ts";
import type { DriverDeps, SplitSource } from "../../services/batch-api/driver/context.ts";
import { Driver } from "../../services/batch-api/driver/driver.ts";
import { JobState } from "../../services/batch-api/driver/job-state.ts";
import { LaneLease, readLane } from "../../services/batch-api/driver/lane-lease.ts";
import { RunningJob } from "../../services/batch-api/driver/running-job.ts";
import { readState } from "../../services/batch-api/jobs/state-record.ts";
import type { JobSpec, StateRecord } from "../../services/protocol/jobs.ts";
import { JOB } from "./a-job.ts";
import { WatchedWorld } from "./watched-world.ts";

/** A pool that starts nothing by itself: the test says how its workers are. */
export class FakePool implements WorkerPool {
  readonly asked: string[] = [];
  list: PoolWorker[] = [];

  start({ generation }: { readonly generation: number }, workers: number): Promise<void> {
    this.asked.push(`start ${String(generation)} ${String(workers)}`);
    return Promise.resolve();
  }

  resize({ generation }: { readonly generation: number }, workers: number): Promise<void> {
    this.asked.push(`resize ${String(generation)} ${String(workers)}`);
    return Promise.resolve();
  }

  workers(): Promise<readonly PoolWorker[]> {
    return Promise.resolve(this.list);
  }

  stop(job: string, epoch: number): Promise<void> {
    this.asked.push(`stop ${job} ${String(epoch)}`);
    return Promise.resolve();
  }

  probe(): Promise<void> {
    return Promise.resolve();
  }
}

/** A split that has ended already. */
const SPLIT_OVER: SplitSource = { step: () => Promise.resolve("end"), endEarly: () => Promise.resolve() };

export class DriverBench {
  readonly world: WatchedWorld;
  readonly pool = new FakePool();
  readonly spec: JobSpec;
  deps: DriverDeps;

  constructor(world = new WatchedWorld(), spec: JobSpec = JOB) {
    this.world = world;
    this.spec = spec;
    this.deps = {
      store: world.store,
      queue: world.queue,
      pool: this.pool,
      clock: world.clock,
      splitterFor: () => SPLIT_OVER,
      say: () => undefined,
      log: { info: () => undefined, warn: () => undefined },
      tickMs: 100,
      tickMinMs: 10,
    };
  }

  /** The lane as stored, held. */
  async lease(lane = 0): Promise<LaneLease> {
    const held = await readLane(this.world.store, this.spec.api, lane);
    if (held === undefined) throw new Error(`no record of lane ${String(lane)}`);
    return new LaneLease(this.world.store, this.spec.api, held);
  }

  /** What a driver knows of the job, as it does before its first look. */
  async runningJob(): Promise<RunningJob> {
    const lease = await this.lease();
    const { epoch, term } = lease.record;
    const owner = { lane: lease.lane, epoch, term };
    const state = await JobState.read(this.world.store, this.spec.api, this.spec.job, owner);
    return new RunningJob(this.deps, this.spec, lease, state);
  }

  /** Drives the job for so many seconds at most; answers what the driver threw. */
  async drive(seconds: number): Promise<unknown> {
    const driver = new Driver(this.deps, this.spec, await this.lease());
    const over = new AbortController();
    const end: { error?: unknown; is: boolean } = { is: false };
    const running = driver
      .run(over.signal)
      .catch((error: unknown) => (end.error = error))
      .finally(() => (end.is = true));
    for (let at = 0; at < seconds * 10 && !end.is; at += 1) await this.world.clock.advance(100);
    over.abort(new Error("the test's time is over"));
    await running;
    return end.error;
  }

  async state(): Promise<StateRecord> {
    return (await readState(this.world.memory, this.spec.api, this.spec.job)).state;
  }
}
