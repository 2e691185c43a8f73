/** A submission service over any backends: driver, splitter, job and API services, glued once for both worlds. */
import { collectDefaultMetrics, Registry } from "prom-client";
import type { BatchQueue } from "../backends/batch-queue.ts";
import { realClock, realRandom } from "../backends/clock.real.ts";
import type { Dataset } from "../backends/dataset.ts";
import type { DeadLetterQueues } from "../backends/dead-letters.ts";
import type { LogStore } from "../backends/log-store.ts";
import type { ObjectStore } from "../backends/object-store.ts";
import type { WorkerPool } from "../backends/worker-pool.ts";
import type { JobSpec } from "../protocol/jobs.ts";
import { KEEP_ALL } from "../protocol/retention.ts";
import type { ApiService } from "./apis/api-service.ts";
import { Apis, type ApisOptions } from "./apis/apis.ts";
import type { DriverDeps } from "./driver/context.ts";
import { Hosting } from "./apis/hosting.ts";
import { driverMetrics } from "./driver/metrics.ts";
import { Replica, type ReplicaOptions } from "./driver/replica.ts";
import { Janitor, type JanitorOptions } from "./janitor/janitor.ts";
import type { JobService } from "./jobs/job-service.ts";
import { hostedJobs, stopHostedJobs } from "./jobs/hosted-jobs.ts";
import { createJobService } from "./jobs/jobs.ts";
import { stopAllJobs } from "./jobs/stop-all.ts";
import { splitSource } from "./splitter/split-source.ts";

export interface ServiceParts extends Omit<ApisOptions, "stopAllJobs"> {
  readonly store: ObjectStore;
  readonly queue: BatchQueue;
  readonly pool: WorkerPool;
  readonly logs: LogStore;
  readonly dataset: Dataset;
  /** Absent: it has no credentials to send with, and submissions that ask for it are refused. */
  readonly deadLetters?: DeadLetterQueues;
  /** Further APIs that the one of `only` may host; default 0. */
  readonly createApisMax?: number;
  /** Workers that one job may have; default `LIMITS.workersMax`. */
  readonly workersMax?: number;
  readonly log: DriverDeps["log"];
  /** See `DriverDeps`. */
  readonly readiness?: NonNullable<DriverDeps["readiness"]>;
  /** The two worlds differ in these numbers; see `DriverDeps` and `ReplicaOptions`. */
  readonly pace: Pick<DriverDeps, "tickMs" | "tickMinMs" | "stallMs" | "tellMs"> &
    Pick<ReplicaOptions, "busyMs" | "idleMs">;
  /** The two worlds differ in what lies beside the store; see `JanitorOptions`. Default: everything is kept. */
  readonly janitor?: Pick<JanitorOptions, "retention" | "resultsSetting" | "pauseMs" | "logs" | "beside">;
  readonly replica: Pick<ReplicaOptions, "id" | "lanes" | "alone" | "onFatal">;
}

export interface Service {
  readonly jobs: JobService;
  readonly apis: ApiService;
  readonly replica: Replica;
  readonly janitor: Janitor;
  readonly metrics: Registry;
}

const KEEPING = { retention: KEEP_ALL, resultsSetting: "", pauseMs: 3600_000 };

/** Starts nothing: `replica.run` and `janitor.run` do. */
export function buildService(parts: ServiceParts): Service {
  const { store, queue, pool, logs, dataset } = parts;
  const { tickMs, tickMinMs, stallMs, tellMs, busyMs, idleMs } = parts.pace;
  const replica = new Replica(
    {
      ...{ store, queue, pool, clock: realClock, log: parts.log, tickMs, tickMinMs },
      ...(stallMs === undefined ? {} : { stallMs }),
      ...(tellMs === undefined ? {} : { tellMs }),
      ...(parts.readiness === undefined ? {} : { readiness: parts.readiness }),
      ...(parts.deadLetters === undefined ? {} : { deadLetters: { queues: parts.deadLetters, dataset } }),
      splitterFor: (spec) => splitSource(spec, store, dataset),
      say: (spec: JobSpec, text: string) => {
        sayIn(logs, spec.job, { worker: "service", from: "service", text });
      },
    },
    { ...parts.replica, apis: () => apis.withJobs(), busyMs, idleMs },
  );
  const jobs = createJobService({
    ...{ store, dataset, logs, clock: realClock, random: realRandom, lanes: parts.replica.lanes },
    ...(parts.workersMax === undefined ? {} : { workersMax: parts.workersMax }),
    sendsDeadLetters: parts.deadLetters !== undefined,
    live: (_api, job) => replica.live(job),
    poke: (_api, job) => {
      replica.poke(job);
    },
  });
  const apis = new Apis({ ...parts, stopAllJobs: (api) => stopAllJobs(store, jobs, realClock, api) });
  const janitor = new Janitor({
    ...(parts.janitor ?? KEEPING),
    store,
    clock: realClock,
    log: parts.log,
    apis: () => apis.withJobs(),
  });
  return { ...doorsOf(parts, jobs, apis), replica, janitor, metrics: metricsOf(replica) };
}

/** What the doors speak to: the services themselves, or, where further APIs may be made, those that know their names. */
function doorsOf(parts: ServiceParts, jobs: JobService, apis: Apis): { jobs: JobService; apis: ApiService } {
  const { store, only: host, createApisMax = 0 } = parts;
  if (host === undefined || createApisMax === 0) return { jobs, apis };
  const stopJobsOf = (name: string) => stopHostedJobs(jobs, realClock, host, name);
  const hosting = new Hosting({ store, apis, host, namesMax: createApisMax, stopJobsOf });
  return { jobs: hostedJobs({ jobs, store, host, currentOf: (name) => hosting.currentOf(name) }), apis: hosting };
}

/** Logs are no part of the truth: a line that cannot be written must not end the service. */
export function sayIn(logs: LogStore, job: string, line: Omit<Parameters<LogStore["append"]>[2][number], "at">): void {
  logs.append(job, line.worker, [{ at: realClock.wallMs(), ...line }]).catch(() => undefined); // see above
}

function metricsOf(replica: Replica): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  driverMetrics(registry, replica);
  return registry;
}
