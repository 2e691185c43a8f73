/** The whole service on one machine: embedded backends, the same driver, splitter and doors as in the cloud. */
import { mkdir } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { extname, join, resolve } from "node:path";
import type { Logger } from "pino";
import { MemoryQueue } from "../backends/batch-queue.memory.ts";
import { serveQueue, type QueueServer } from "../backends/batch-queue.socket-server.ts";
import { realClock, realRandom } from "../backends/clock.real.ts";
import { datasetFor } from "../backends/dataset.by-scheme.ts";
import { FilesDataset } from "../backends/dataset.files.ts";
import { s3FromEnvironment } from "../backends/dataset.s3.ts";
import type { Dataset } from "../backends/dataset.ts";
import { deadLettersFromEnvironment } from "../backends/dead-letters.sqs.ts";
import type { Environments } from "../backends/environments.ts";
import { RecentEnvironments } from "../backends/environments.recent.ts";
import { VenvEnvironments } from "../backends/environments.venv.ts";
import type { LogStore } from "../backends/log-store.ts";
import { FileLogStore } from "../backends/log-store.files.ts";
import { openFileStore, type FileStore } from "../backends/object-store.files.ts";
import { NamedFolders } from "../backends/named-folders.ts";
import { pythonFacts } from "../backends/python-facts.ts";
import { endLeftovers } from "../backends/process-files.ts";
import { serviceSocketPath } from "../backends/service-socket.ts";
import { ProcessPool } from "../backends/worker-pool.processes.ts";
import { ENV } from "../protocol/environment.ts";
import { KEEP_ALL, type Retention } from "../protocol/retention.ts";
import type { ApiService } from "./apis/api-service.ts";
import { buildApp } from "./app.ts";
import { LOOPBACK_CALLERS } from "./auth/admission.ts";
import { tidyFolders } from "./janitor/laptop-folders.ts";
import type { Replica } from "./driver/replica.ts";
import type { JobService } from "./jobs/job-service.ts";
import type { Readiness, App } from "./routes/door.ts";
import { buildService, sayIn, type Service, type ServiceParts } from "./service.ts";

export interface LaptopOptions {
  /** Folder of all state; made when missing. */
  readonly root: string;
  /** Where the doors listen; port 0 picks a free one. */
  readonly host: string;
  readonly port: number;
  /** Folders that jobs may read, absolute. */
  readonly allow: readonly string[];
  /** How many jobs of one API run at once. */
  readonly lanes: number;
  /** How long what ended jobs leave behind is kept; days, null for ever. A job's lines go with its record at the latest. */
  readonly retention?: Retention & { readonly logsDays: number | null };
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  readonly version: string;
  /** The service cannot go on: its store is broken, or its loops stand still. */
  readonly onFatal: (error: unknown) => void;
}

export interface LaptopService {
  /** `http://host:port` of the doors. */
  readonly address: string;
  readonly jobs: JobService;
  readonly apis: ApiService;
  readonly pool: ProcessPool;
  /** Workers drain and hand back; jobs that are not final go on at the next start. */
  stop(): Promise<void>;
}

const LEASE_SECONDS = 5;
const PACE: ServiceParts["pace"] = {
  tickMs: 100,
  tickMinMs: 8,
  // A step of the splitter reads up to 64 MiB: over a slow line to S3 that takes many leases.
  stallMs: 5 * 60_000,
  busyMs: 250,
  idleMs: 1_000,
};
/** What the janitor looks for is days old. */
const TIDY_MS = 600_000;
/** As this file is: TypeScript in the repository, JavaScript in the package. */
const WORKER_MAIN = join(import.meta.dirname, "..", "worker", `main${extname(import.meta.filename)}`);
const ALLOW_OPTION = "--allow";

const LOOPBACK = /^(localhost|::1|127\.\d+\.\d+\.\d+)$/;

/** The doors would be open to others, and there is no authentication to stand before them. */
export class OpenAddressRefused extends Error {
  override readonly name = "OpenAddressRefused";
}

/**
 * Starts it. Throws `ServiceRunning` when another service has this root, `OpenAddressRefused` for a host that others can
 * reach, and what listening throws.
 */
export async function startLaptop(options: LaptopOptions): Promise<LaptopService> {
  if (!LOOPBACK.test(options.host)) {
    throw new OpenAddressRefused(
      `host ${options.host} can be reached by others, and this service has no authentication yet: listen on 127.0.0.1, ` +
        "and reach it from elsewhere through a tunnel (ssh -L)",
    );
  }
  const root = resolve(options.root);
  await mkdir(root, { recursive: true, mode: 0o700 });
  const parts = new Map<string, Replica>();
  const queue = new MemoryQueue({
    clock: realClock,
    leaseSeconds: LEASE_SECONDS,
    onActivity: () => parts.get("replica")?.wakeAll(),
  });
  const server = await serveQueue({ path: serviceSocketPath(root), queue });
  try {
    return await startOn(root, options, queue, server, parts);
  } catch (error) {
    await server.close();
    throw error;
  }
}

async function startOn(
  root: string,
  options: LaptopOptions,
  queue: MemoryQueue,
  server: QueueServer,
  parts: Map<string, Replica>,
): Promise<LaptopService> {
  const { environment, logger } = options;
  await endLeftovers(root, realClock);
  const store = await openFileStore({ root: join(root, "store") });
  const logs = new FileLogStore({ root: join(root, "logs") });
  const end = new AbortController();
  const pool = processPool(root, withPython(environment, end.signal), logs, (job) =>
    parts.get("replica")?.wakeDriver(job),
  );
  const builder = new RecentEnvironments(
    new VenvEnvironments({ root, python: environment[ENV.python] ?? "python3", env: environment, clock: realClock }),
    realClock,
  );
  const deadLetters = deadLettersFromEnvironment(environment, { clock: realClock, random: realRandom });
  const service = buildService({
    ...{ store, queue, pool, logs, dataset: datasetOf(options), log: logger, pace: PACE },
    ...(deadLetters === undefined ? {} : { deadLetters }),
    environments: endingWith(builder, end.signal),
    janitor: janitorOf(root, options, { store, logs, builder }),
    replica: { id: realRandom.hex(8), lanes: options.lanes, alone: true, onFatal: options.onFatal },
  });
  const { replica, jobs, apis } = service;
  parts.set("replica", replica);
  const app = await buildDoors(options, service);
  const running = replica.run(end.signal).catch(() => undefined); // ends only by our own signal
  const tidying = service.janitor.run(end.signal).catch((error: unknown) => {
    if (!end.signal.aborted) options.onFatal(error); // the store is broken
  });
  return {
    address: addressOf(app, options.host),
    jobs,
    apis,
    pool,
    async stop() {
      await stopAll({ app, end, running, tidying, replica, pool, server, store });
      await deadLetters?.close();
    },
  };
}

function janitorOf(
  root: string,
  { retention = { ...KEEP_ALL, logsDays: null } }: LaptopOptions,
  { store, logs, builder }: { store: FileStore; logs: FileLogStore; builder: RecentEnvironments },
): NonNullable<ServiceParts["janitor"]> {
  const folders = {
    environments: new NamedFolders(join(root, "environments")),
    projects: new NamedFolders(join(root, "scratch", "projects")),
    logs: new NamedFolders(join(root, "logs")),
  };
  return {
    ...{ retention, resultsSetting: "--keep-results", pauseMs: TIDY_MS },
    logs: { store: logs, days: retention.logsDays },
    beside: (signal) => tidyFolders({ store, folders, inUse: (environment) => builder.isRecent(environment) }, signal),
  };
}

function processPool(
  root: string,
  environment: LaptopOptions["environment"],
  logs: LogStore,
  onEnded: (job: string) => void,
): ProcessPool {
  return new ProcessPool({
    root,
    command: [process.execPath, WORKER_MAIN],
    clock: realClock,
    random: realRandom,
    environment,
    graceSeconds: 25,
    onOutput: ({ job }, worker, text) => {
      sayIn(logs, job, { worker, from: "worker", text });
    },
    onEnded: ({ job }) => {
      onEnded(job);
    },
  });
}

/**
 * What workers inherit, with the interpreter behind the Python command as soon as it is known: where that command is a
 * script which looks for one (pyenv's is), each start of a handler would pay for the search.
 */
function withPython(environment: LaptopOptions["environment"], signal: AbortSignal): LaptopOptions["environment"] {
  const inherited = { ...environment };
  pythonFacts(environment[ENV.python] ?? "python3", environment, signal).then(
    ({ executable }) => {
      if (executable !== "") inherited[ENV.python] = executable;
    },
    () => undefined, // the handler's start says it better
  );
  return inherited;
}

/** Builds end with the service: an installer that went on alone would be left behind. */
function endingWith(environments: Environments, signal: AbortSignal): Environments {
  return { build: (files, asking, progress) => environments.build(files, asking, progress, signal) };
}

async function buildDoors(options: LaptopOptions, { jobs, apis, metrics }: Service): Promise<App> {
  const readiness = (): Readiness => ({ kind: "ready" });
  const app = await buildApp({
    jobs,
    apis,
    metrics,
    clock: realClock,
    random: realRandom,
    readiness,
    hosts: { kind: "loopback" },
    authenticator: LOOPBACK_CALLERS,
    version: options.version,
  });
  await app.listen({ host: options.host, port: options.port });
  return app;
}

interface Parts {
  readonly app: App;
  readonly end: AbortController;
  readonly running: Promise<void>;
  readonly tidying: Promise<void>;
  readonly replica: Replica;
  readonly pool: ProcessPool;
  readonly server: QueueServer;
  readonly store: FileStore;
}

async function stopAll({ app, end, running, tidying, replica, pool, server, store }: Parts): Promise<void> {
  const closed = app.close();
  end.abort();
  await Promise.all([running, tidying]);
  await replica.drained();
  await pool.close();
  await server.close();
  await closed;
  await store.close();
}

function datasetOf({ allow, environment }: LaptopOptions): Dataset {
  const files = new FilesDataset({ roots: allow, allowOption: ALLOW_OPTION });
  const s3 = s3FromEnvironment(environment);
  return datasetFor(s3 === undefined ? { files } : { files, s3 });
}

function addressOf(app: App, host: string): string {
  const { port } = app.server.address() as AddressInfo;
  return `http://${host.includes(":") ? `[${host}]` : host}:${String(port)}`;
}
