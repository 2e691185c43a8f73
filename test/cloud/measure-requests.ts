/**
 * `node test/cloud/measure-requests.ts`: counts the requests that a service and its workers make to S3, SQS and Logs, for docs/scale.md.
 * The service has its pace and its lease of the cloud; workers are processes of this machine, the servers those of the cloud tests.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { SqsQueue } from "../../services/backends/batch-queue.sqs.ts";
import { realClock, realRandom } from "../../services/backends/clock.real.ts";
import { datasetFor } from "../../services/backends/dataset.by-scheme.ts";
import { VenvEnvironments } from "../../services/backends/environments.venv.ts";
import { CloudWatchLogStore } from "../../services/backends/log-store.cloudwatch.ts";
import { S3Store } from "../../services/backends/object-store.s3.ts";
import { packProject } from "../../services/project/project-folder.ts";
import type { GenerationName, PoolWorker, WorkerPool } from "../../services/backends/worker-pool.ts";
import { buildService, type Service } from "../../services/batch-api/service.ts";
import { ENV } from "../../services/protocol/environment.ts";
import { workerName } from "../../services/protocol/keys.ts";
import { isFinal } from "../../services/protocol/states.ts";
import { parseSubmission } from "../../services/protocol/submission.parse.ts";
import { writeProject } from "../support/project-folder.ts";
import { LOG_GROUP, startCloudServers, STORE_BUCKET, type CloudServers } from "./support/cloud-servers.ts";
import { dollarsOf, RequestCounter, type Bill } from "./support/request-bill.ts";
import { S3_CREDENTIALS, S3_REGION } from "./support/s3-server.ts";

const API = "counted";
const LEASE_SECONDS = 60;
const WORKER = join(import.meta.dirname, "../../services/worker/main.ts");
/** As in `services/batch-api/cloud.ts`. */
const PACE = { tickMs: 1_000, tickMinMs: 200, tellMs: 2_000, busyMs: 1_000, idleMs: 15_000 };
const HANDLER = `import time

class Handler:
    def __init__(self, config):
        pass

    def handle_batch(self, payload):
        time.sleep(payload[0]["seconds"])
        return payload
`;

/** Workers as in pods, told all that a pod is told. */
class ChildPool implements WorkerPool {
  readonly #environment: Readonly<Record<string, string>>;
  readonly #workers: { readonly facts: PoolWorker; readonly child: ChildProcess }[] = [];

  constructor(environment: Readonly<Record<string, string>>) {
    this.#environment = environment;
  }

  start(name: GenerationName, workers: number): Promise<void> {
    for (let index = 0; index < workers; index += 1) this.#spawn(name, index);
    return Promise.resolve();
  }

  async resize(name: GenerationName, workers: number): Promise<void> {
    for (let index = this.#workers.length; index < workers; index += 1) this.#spawn(name, index);
    return Promise.resolve();
  }

  workers(): Promise<readonly PoolWorker[]> {
    return Promise.resolve(
      this.#workers.map(({ facts, child }) => ({ ...facts, phase: child.exitCode === null ? "running" : "ended" })),
    );
  }

  async stop(): Promise<void> {
    const alive = this.#workers.filter(({ child }) => child.exitCode === null);
    const ends = alive.map(({ child }) => once(child, "exit"));
    for (const { child } of this.#workers) child.kill("SIGTERM");
    await Promise.all(ends);
    this.#workers.length = 0;
  }

  probe(): Promise<void> {
    return Promise.resolve();
  }

  #spawn({ api, job, lane, epoch, generation }: GenerationName, index: number): void {
    const incarnation = realRandom.hex(4);
    const env = {
      ...process.env,
      ...this.#environment,
      ...{ [ENV.api]: api, [ENV.job]: job, [ENV.lane]: String(lane), [ENV.epoch]: String(epoch) },
      ...{ [ENV.generation]: String(generation), [ENV.incarnation]: incarnation, JOB_COMPLETION_INDEX: String(index) },
    };
    const child = spawn(process.execPath, [WORKER], { env, stdio: ["ignore", "ignore", "inherit"] });
    const worker = workerName(epoch, generation, index, incarnation);
    this.#workers.push({ facts: { generation, index, worker, phase: "running" }, child });
  }
}

function serviceOver(servers: CloudServers, folder: string): { readonly service: Service; readonly pool: ChildPool } {
  const clocks = { clock: realClock, random: realRandom };
  const access = { region: S3_REGION, endpoint: servers.proxies.s3.endpoint, credentials: S3_CREDENTIALS };
  const logs = { group: LOG_GROUP, region: S3_REGION, endpoint: servers.proxies.logs.endpoint };
  const pool = new ChildPool({
    ...servers.environment,
    ...{ [ENV.store]: `s3://${STORE_BUCKET}`, [ENV.lanes]: servers.laneUrls.join(","), [ENV.logGroup]: LOG_GROUP },
    ...{ [ENV.leaseSeconds]: String(LEASE_SECONDS), [ENV.scratch]: folder },
  });
  const service = buildService({
    store: new S3Store({ ...clocks, bucket: STORE_BUCKET, access }),
    queue: new SqsQueue({
      ...{ ...clocks, queueUrls: servers.laneUrls, leaseSeconds: LEASE_SECONDS },
      ...{ region: S3_REGION, credentials: S3_CREDENTIALS },
    }),
    logs: new CloudWatchLogStore({ ...clocks, ...logs, credentials: S3_CREDENTIALS }),
    ...{ pool, dataset: datasetFor({}), pace: PACE, only: API, log: { info: () => undefined, warn: say } },
    environments: new VenvEnvironments({ root: folder, python: "python3", env: process.env, clock: realClock }),
    replica: { id: realRandom.hex(8), lanes: servers.laneUrls.length, alone: false, onFatal: say },
  });
  return { service, pool };
}

function say(...words: readonly unknown[]): void {
  process.stderr.write(`${inspect(words)}\n`);
}

class Measurement {
  readonly #service: Service;
  readonly #counter: RequestCounter;

  constructor(service: Service, counter: RequestCounter) {
    this.#service = service;
    this.#counter = counter;
  }

  async submit(workers: number, batches: number, seconds: number): Promise<string> {
    const items = Array.from({ length: batches }, () => ({ seconds }));
    const body = Buffer.from(JSON.stringify({ workers, item_list: { items, batch_size: 1 } }));
    const { spec } = await this.#service.jobs.submit(API, parseSubmission(body), { principal: "counted" });
    return spec.job;
  }

  async ended(job: string): Promise<void> {
    while (!isFinal((await this.#service.jobs.get(API, job)).state)) await sleep(5_000);
  }

  async settled(job: string): Promise<number> {
    const { counts } = await this.#service.jobs.get(API, job);
    return counts.batches_succeeded;
  }

  /** Requests in so many seconds of whatever goes on. */
  async during(what: string, seconds: number): Promise<void> {
    this.#counter.take();
    await sleep(1000 * seconds);
    print(`${what}, a second`, this.#counter.take(), seconds);
  }

  take(): Bill {
    return this.#counter.take();
  }
}

function print(what: string, bill: Bill, over: number): void {
  process.stdout.write(`\n${what} (of ${String(over)}; $ ${(dollarsOf(bill) / over).toExponential(3)})\n`);
  for (const [request, count] of Object.entries(bill)) {
    process.stdout.write(
      `  ${request.padEnd(36)} ${String(count).padStart(8)} ${(count / over).toFixed(4).padStart(10)}\n`,
    );
  }
}

async function measure(measurement: Measurement, workers: number): Promise<void> {
  await measurement.during("an idle service with one lane", 30);
  const slow = await measurement.submit(workers, 75 * workers, 1);
  while ((await measurement.settled(slow)) < workers) await sleep(500);
  const before = await measurement.settled(slow);
  await measurement.during(`${String(workers)} workers, batches of a second`, 60);
  process.stdout.write(`  batches settled meanwhile: ${String((await measurement.settled(slow)) - before)}\n`);
  await measurement.ended(slow);
  await sleep(3_000); // what the end gives back
  const batches = 20_000;
  measurement.take();
  const startedMs = performance.now();
  const fast = await measurement.submit(workers, batches, 0);
  const seconds = () => ((performance.now() - startedMs) / 1000).toFixed(0);
  // until workers have learned how much they may hold
  while ((await measurement.settled(fast)) < batches / 20) await sleep(1_000);
  const settled = await measurement.settled(fast);
  print(
    `batches that take no time, the first ${String(settled)} in ${seconds()} s, a batch`,
    measurement.take(),
    settled,
  );
  await measurement.ended(fast);
  print(`the others, all in ${seconds()} s, a batch`, measurement.take(), batches - settled);
}

const servers = await startCloudServers(1);
const folder = await mkdtemp(join(tmpdir(), "millrace-counted-"));
const { service, pool } = serviceOver(servers, folder);
const over = new AbortController();
try {
  const project = join(folder, "project");
  await writeProject(project, {
    "handler.py": HANDLER,
    "millrace.yaml": JSON.stringify({ name: API, handler: { type: "python", path: "handler.py" } }),
  });
  const { archive } = await packProject(project, folder);
  await service.apis.deploy(API, archive, () => undefined);
  void service.replica.run(over.signal).catch(() => undefined); // ends by our own signal
  await measure(new Measurement(service, new RequestCounter(servers)), Number(process.argv[2] ?? 4));
} finally {
  over.abort();
  await service.replica.drained();
  await pool.stop();
  await servers.stop();
  await rm(folder, { recursive: true, force: true });
}
process.exit();
