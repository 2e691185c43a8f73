/** Workers without processes of their own: the real worker loop beside its service, for tests that start thousands. */
import type { BatchQueue } from "../../services/backends/batch-queue.ts";
import type { Clock, Random } from "../../services/backends/clock.ts";
import type { Dataset } from "../../services/backends/dataset.ts";
import type { ObjectStore } from "../../services/backends/object-store.ts";
import type { GenerationName, PoolWorker, WorkerPool } from "../../services/backends/worker-pool.ts";
import { readObject } from "../../services/batch-api/jobs/stored.ts";
import { WORKER_EXIT } from "../../services/protocol/exit-codes.ts";
import { JOB_FORMAT, type JobSpec } from "../../services/protocol/jobs.ts";
import { jobKeys, queueLane, workerName } from "../../services/protocol/keys.ts";
import type { WorkerPace } from "../../services/worker/context.ts";
import { Worker } from "../../services/worker/worker.ts";
import { EchoHandler } from "./echo-handler.ts";

export interface InProcessPoolOptions {
  readonly queue: BatchQueue;
  readonly dataset: Dataset;
  readonly clock: Clock;
  readonly random: Random;
  readonly pace: WorkerPace;
  /** Each worker opens the store anew, and closes it at its end, as its process would. */
  readonly openStore: () => Promise<ObjectStore & { close(): Promise<void> }>;
  readonly onEnded: (job: string) => void;
}

interface Member {
  readonly name: GenerationName;
  facts: PoolWorker;
  worker: Worker | undefined;
  isStopped: boolean;
  readonly ended: Promise<void>;
}

/** Ends of one index before nobody is started in its place any more. */
const STARTS_MAX = 4;

export class InProcessPool implements WorkerPool {
  /** What broke workers, in the order of their ends. */
  readonly broken: unknown[] = [];
  readonly #options: InProcessPoolOptions;
  #members: Member[] = [];

  constructor(options: InProcessPoolOptions) {
    this.#options = options;
  }

  start(name: GenerationName, workers: number): Promise<void> {
    const is = (member: Member) => member.name.job === name.job && member.facts.generation === name.generation;
    if (!this.#members.some((member) => is(member) && member.name.epoch === name.epoch)) {
      for (let index = 0; index < workers; index += 1) this.#launch(name, index, 1);
    }
    return Promise.resolve();
  }

  resize(): Promise<void> {
    return Promise.resolve(); // a generation starts with all of its workers here
  }

  workers(job: string, epoch: number): Promise<readonly PoolWorker[]> {
    const own = this.#members.filter(({ name }) => name.job === job && name.epoch === epoch);
    return Promise.resolve(own.map(({ facts }) => facts));
  }

  async stop(job: string, epoch: number): Promise<void> {
    const own = this.#members.filter(({ name }) => name.job === job && name.epoch <= epoch);
    for (const member of own) {
      member.isStopped = true;
      member.worker?.leave({ kind: "drain" });
    }
    await Promise.all(own.map(({ ended }) => ended));
    this.#members = this.#members.filter((member) => !own.includes(member));
  }

  probe(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map(({ name }) => this.stop(name.job, name.epoch)));
  }

  #launch(name: GenerationName, index: number, starts: number): void {
    const worker = workerName(name.epoch, name.generation, index, this.#options.random.hex(4));
    const ended = Promise.withResolvers<undefined>();
    const facts: PoolWorker = { generation: name.generation, index, worker, phase: "running" };
    const member: Member = { name, facts, worker: undefined, isStopped: false, ended: ended.promise };
    this.#members.push(member);
    void this.#live(member, index, worker).then((exitCode) => {
      member.facts = { ...facts, phase: "ended", exitCode };
      ended.resolve(undefined);
      this.#options.onEnded(name.job);
      if (exitCode !== WORKER_EXIT.done && starts < STARTS_MAX && !member.isStopped)
        this.#launch(name, index, starts + 1);
    });
  }

  /** Its exit code, by the table of the worker's program. */
  async #live(member: Member, index: number, worker: string): Promise<number> {
    const { queue, dataset, clock, random, pace, openStore } = this.#options;
    const { api, job, lane, epoch, generation } = member.name;
    try {
      const store = await openStore();
      const spec = await readObject<JobSpec>(store, jobKeys(api, job).spec, JOB_FORMAT);
      if (spec === undefined) throw new Error(`job ${job} has no spec`);
      member.worker = new Worker({
        identity: { ...{ api, job, lane, epoch, generation, index }, queueLane: queueLane(api, lane), name: worker },
        ...{ spec, processes: 1, store, queue, dataset, clock, random, pace },
        startHandler: () => Promise.resolve({ handler: new EchoHandler(), ready: { hook: true } }),
        say: () => undefined,
      });
      if (member.isStopped) member.worker.leave({ kind: "drain" });
      const exitCode = await member.worker.run();
      await store.close();
      return exitCode;
    } catch (error) {
      this.broken.push(error);
      return error instanceof Error && error.name === "StoreBroken" ? WORKER_EXIT.storeBroken : WORKER_EXIT.crashed;
    }
  }
}
