/**
 * A service with its workers in this process, over a store that is damaged and a virtual clock: one job has ended, one runs and has
 * batches left, one waits for the only lane.
 */
import { MemoryQueue } from "../../services/backends/batch-queue.memory.ts";
import type { BatchQueue } from "../../services/backends/batch-queue.ts";
import type { Random } from "../../services/backends/clock.ts";
import { DatasetError } from "../../services/backends/dataset.ts";
import { MemoryStore } from "../../services/backends/object-store.memory.ts";
import { Apis } from "../../services/batch-api/apis/apis.ts";
import { Replica } from "../../services/batch-api/driver/replica.ts";
import type { JobService, JobView } from "../../services/batch-api/jobs/job-service.ts";
import { createJobService } from "../../services/batch-api/jobs/jobs.ts";
import { encodeStored } from "../../services/batch-api/jobs/stored.ts";
import { splitSource } from "../../services/batch-api/splitter/split-source.ts";
import { apiKeys, jobKeys } from "../../services/protocol/keys.ts";
import { encodeLine } from "../../services/protocol/ledger.ts";
import { isFinal } from "../../services/protocol/states.ts";
import type { Submission } from "../../services/protocol/submission.ts";
import { aSubmission, aVersion } from "../support/builders.ts";
import { InProcessPool } from "../support/in-process-pool.ts";
import { MemoryDataset } from "../support/memory-dataset.ts";
import { MemoryDeadLetters } from "../support/memory-dead-letters.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { DamagedStore } from "./damaged-store.ts";

export const API = "digits";
const STEP_MS = 250;
const PACE = { pollSeconds: 0.5, laneReadSeconds: 1, flushSeconds: 0.004, flushSecondsPerWorker: 0, drainSeconds: 2 };
const NO_LOGS = {
  append: () => Promise.resolve(),
  read: () => Promise.resolve({ lines: [], cursor: "" }),
  remove: () => Promise.resolve(),
};

export type Phase = "ended" | "running" | "waiting";

export class ServiceOverDamage {
  readonly store: DamagedStore;
  readonly jobs: JobService;
  readonly apis: Apis;
  readonly ids: Record<Phase, string> = { ended: "", running: "", waiting: "" };
  readonly deadLetters = new MemoryDeadLetters();
  /** What the service said to whoever runs it. */
  readonly warnings: string[] = [];
  fatal: unknown;
  readonly #clock = new VirtualClock();
  readonly #dataset = new PartlyMissing();
  readonly #random = counting();
  #replica: Replica | undefined;
  #pool: InProcessPool | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #end = new AbortController();
  /** Batches that workers may still take. */
  #batchesLeft = Infinity;

  private constructor() {
    const clock = this.#clock;
    this.store = new DamagedStore(new MemoryStore({ clock }));
    const { store } = this;
    this.jobs = createJobService({
      ...{
        store,
        dataset: this.#dataset,
        logs: NO_LOGS,
        clock,
        random: this.#random,
        lanes: 1,
        sendsDeadLetters: true,
      },
      live: (_api, job) => this.#replica?.live(job),
      poke: (_api, job) => this.#replica?.poke(job),
    });
    this.apis = new Apis({
      store,
      environments: { build: () => Promise.resolve(null) },
      stopAllJobs: () => Promise.resolve(),
    });
  }

  static async start(): Promise<ServiceOverDamage> {
    const service = new ServiceOverDamage();
    const { store } = service;
    const [version, keys] = [aVersion(), apiKeys(API)];
    await store.put(keys.version(version.version), encodeStored(version));
    await store.put(keys.project(version.project), Buffer.from("an archive"));
    await store.swap(keys.current, encodeStored({ version: version.version, generation: 1 }), undefined);
    for (const name of ["a", "b", "c", "d", "e"]) service.#dataset.objects.set(`s3://data/${name}.jsonl`, Buffer.from("1\n2\n3\n")); // prettier-ignore
    service.run();
    service.ids.ended = await service.submit({ ...lister("delimited_files"), batchSize: 2 }, "key");
    await service.until(async () => isFinal((await service.view("ended")).state));
    service.#batchesLeft = 2;
    service.ids.running = await service.submit({ ...lister("file_path_lister"), batchSize: 1 });
    await service.until(async () => (await service.view("running")).counts.batches_succeeded === 2);
    const verdict = { t: "died", batch: 0, attempt: 1, worker: "1-1-0-gone", cause: "worker_died" } as const;
    await store.append(jobKeys(API, service.ids.running).verdict(0, 0), Buffer.from(encodeLine(verdict)), 0);
    service.ids.waiting = await service.submit(aSubmission().input);
    await service.pass(1);
    return service;
  }

  run(): void {
    const [clock, store, dataset] = [this.#clock, this.store, this.#dataset];
    this.#end = new AbortController();
    const queue = this.#held(new MemoryQueue({ clock, leaseSeconds: 5, onActivity: () => this.#replica?.wakeAll() }));
    const pool = new InProcessPool({
      ...{ queue, dataset, clock, random: this.#random, pace: PACE },
      openStore: () => Promise.resolve(store),
      onEnded: (job) => this.#replica?.wakeDriver(job),
    });
    this.#pool = pool;
    this.#replica = new Replica(
      {
        ...{ store, queue, pool, clock, tickMs: 500, tickMinMs: 8, say: () => undefined },
        deadLetters: { queues: this.deadLetters, dataset },
        splitterFor: (spec) => splitSource(spec, store, dataset),
        log: { info: () => undefined, warn: (_fields, sentence) => void this.warnings.push(sentence) },
      },
      {
        ...{ id: this.#random.hex(8), apis: () => this.apis.withJobs(), lanes: 1, busyMs: 500, idleMs: 500 },
        ...{ alone: true, onFatal: (error) => (this.fatal ??= error) },
      },
    );
    this.#running = this.#replica.run(this.#end.signal).catch(() => undefined); // ended by its own signal
  }

  /** As a process that leaves, and what it started with it. */
  async stop(): Promise<void> {
    this.#end.abort(new Error("the test stops the service"));
    const end = { is: false };
    const ended = Promise.all([this.#running, this.#replica?.drained(), this.#pool?.close()]).finally(() => (end.is = true)); // prettier-ignore
    for (let at = 0; at < 240 && !end.is; at += 1) await this.#clock.advance(STEP_MS);
    if (!end.is) throw new Error("the service does not end");
    await ended;
  }

  /** Workers take what there is from now on. */
  release(): void {
    this.#batchesLeft = Infinity;
  }

  async submit(input: Submission["input"], idempotencyKey?: string, more: Partial<Submission> = {}): Promise<string> {
    const options = { principal: "me", ...(idempotencyKey === undefined ? {} : { idempotencyKey }) };
    return (await this.jobs.submit(API, aSubmission({ input, workers: 1, attempts: 2, ...more }), options)).spec.job;
  }

  view(phase: Phase): Promise<JobView> {
    return this.jobs.get(API, this.ids[phase]);
  }

  async until(is: () => Promise<boolean>, seconds = 120): Promise<boolean> {
    for (let at = 0; at < seconds * 1000; at += STEP_MS) {
      if (await is()) return true;
      await this.#clock.advance(STEP_MS);
    }
    return is();
  }

  async pass(seconds: number): Promise<void> {
    for (let at = 0; at < seconds * 1000; at += STEP_MS) await this.#clock.advance(STEP_MS);
  }

  #held(queue: MemoryQueue): BatchQueue {
    const receive: BatchQueue["receive"] = async (lane, options) => {
      const messagesMax = Math.min(options.messagesMax, this.#batchesLeft);
      if (messagesMax === 0) {
        await this.#clock.sleep(options.waitSeconds * 1000);
        return [];
      }
      const deliveries = await queue.receive(lane, { ...options, messagesMax });
      this.#batchesLeft -= deliveries.length;
      return deliveries;
    };
    return {
      ...{ leaseSeconds: queue.leaseSeconds, receive, probe: () => queue.probe() },
      send: (lane, messages) => queue.send(lane, messages),
      extend: (lane, receipts) => queue.extend(lane, receipts),
      ack: (lane, receipts) => queue.ack(lane, receipts),
      release: (lane, receipts) => queue.release(lane, receipts),
    };
  }
}

/** The last object can be listed and cut; whoever runs its batches finds it gone: they fail, and leave errors. */
class PartlyMissing extends MemoryDataset {
  override async read(...[uri, range, etag]: Parameters<MemoryDataset["read"]>): Promise<Buffer> {
    const isWhole = range.start === 0 && range.end === this.objects.get(uri)?.length;
    if (uri.endsWith("e.jsonl") && !isWhole) throw new DatasetError("missing", uri, `${uri} is missing`);
    return super.read(uri, range, etag);
  }
}

export function lister(kind: "delimited_files" | "file_path_lister") {
  return { kind, paths: ["s3://data/"], includes: [], excludes: [], batchSize: 1 } as const;
}

function counting(): Random {
  let drawn = 0;
  return {
    hex: (bytes) =>
      (drawn += 1)
        .toString(16)
        .padStart(2 * bytes, "0")
        .slice(-2 * bytes),
    fraction: () => 0.5,
  };
}
