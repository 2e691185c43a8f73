/**
 * Thousands of tiny jobs through one service in this process, and what is left of them in its memory:
 *
 *     node --expose-gc test/system/leaks/tiny-jobs.ts --jobs 10000     (--help: what it prints)
 *
 * The laptop's parts (file store, memory queue, log files, driver, splitter, all doors) as `startLaptop` glues them, with
 * workers that are no processes: the real worker loop with a handler that echoes. Prints one line of JSON.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { MemoryQueue } from "../../../services/backends/batch-queue.memory.ts";
import { realClock, realRandom } from "../../../services/backends/clock.real.ts";
import { FileLogStore } from "../../../services/backends/log-store.files.ts";
import { openFileStore } from "../../../services/backends/object-store.files.ts";
import { buildApp } from "../../../services/batch-api/app.ts";
import { LOOPBACK_CALLERS } from "../../../services/batch-api/auth/admission.ts";
import type { App } from "../../../services/batch-api/routes/door.ts";
import { buildService, type Service } from "../../../services/batch-api/service.ts";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import { apiKeys } from "../../../services/protocol/keys.ts";
import { aVersion } from "../../support/builders.ts";
import { wholeOf } from "../../support/a-program.ts";
import { InProcessPool } from "../../support/in-process-pool.ts";
import { MemoryDataset } from "../../support/memory-dataset.ts";
import { jobsInMemory } from "./jobs-in-memory.ts";

const API = "tiny";
const LANES = 4;
/** Jobs that are under way at once: lanes are competed for. */
const AT_ONCE = 6;
/** One job in so many is also read from all other sides. */
const LOOKED_AT = 20;
/** Caches, pools and compiled code are as large as they get. */
const WARM_UP_JOBS = 200;
const ITEMS = 3;

export interface Leftovers {
  readonly heapBytes: number;
  readonly descriptors: number;
  /** Timers, sockets and what else keeps a process alive, by kind. */
  readonly resources: Readonly<Record<string, number>>;
  /** Jobs whose ids stand somewhere in the memory. */
  readonly jobsRemembered: number;
  /** Files that no job's record needs: of temporary, active and lane folders. */
  readonly temporaryFiles: number;
}

export interface LeakReport {
  readonly jobs: number;
  readonly seconds: number;
  readonly before: Leftovers;
  readonly after: Leftovers;
}

async function run(jobs: number): Promise<LeakReport> {
  const root = mkdtempSync(join(tmpdir(), "millrace-leaks-"));
  try {
    const parts = await start(root);
    await runJobs(parts.app, WARM_UP_JOBS, "warm");
    const before = await settled(root);
    const begun = performance.now();
    await runJobs(parts.app, jobs, "job");
    const seconds = (performance.now() - begun) / 1000;
    const after = await settled(root);
    await parts.stop();
    return { jobs, seconds, before, after };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function start(root: string): Promise<{ readonly app: App; stop(): Promise<void> }> {
  const clocks = { clock: realClock, random: realRandom };
  const parts: { service?: Service } = {};
  const queue = new MemoryQueue({
    ...{ clock: realClock, leaseSeconds: 5 },
    onActivity: () => parts.service?.replica.wakeAll(),
  });
  // what survives a power loss is another test's
  const openStore = () => openFileStore({ root: join(root, "store"), sync: "none" });
  const store = await openStore();
  const dataset = new MemoryDataset();
  const pace = { pollSeconds: 0.5, laneReadSeconds: 0.1, flushSeconds: 0.004, flushSecondsPerWorker: 0 };
  const pool = new InProcessPool({
    ...{ ...clocks, queue, dataset, openStore, pace: { ...pace, drainSeconds: 20 } },
    onEnded: (job) => parts.service?.replica.wakeDriver(job),
  });
  const end = new AbortController();
  const service = buildService({
    ...{ store, queue, pool, dataset, logs: new FileLogStore({ root: join(root, "logs") }) },
    ...{
      log: pino({ level: "silent" }),
      pace: { tickMs: 100, tickMinMs: 8, stallMs: 300_000, busyMs: 250, idleMs: 1_000 },
    },
    environments: { build: () => Promise.reject(new Error("no environment in this test")) },
    replica: { id: "leaks", lanes: LANES, alone: true, onFatal: fatal },
  });
  parts.service = service;
  await deploy(store);
  const { jobs, apis, metrics, replica } = service;
  const app = await buildApp({
    ...{ ...clocks, jobs, apis, metrics, version: "0.0.0", readiness: () => ({ kind: "ready" }) as const },
    ...{ hosts: { kind: "loopback" }, authenticator: LOOPBACK_CALLERS },
  });
  const running = replica.run(end.signal).catch(() => undefined); // ends only by our own signal
  return {
    app,
    async stop() {
      await app.close();
      end.abort();
      await running;
      await replica.drained();
      await pool.close();
      await store.close();
    },
  };
}

function fatal(error: unknown): void {
  process.stderr.write(`the service cannot go on: ${String(error)}\n`);
  process.exit(1);
}

async function deploy(store: Awaited<ReturnType<typeof openFileStore>>): Promise<void> {
  const version = aVersion({ api: API });
  const keys = apiKeys(API);
  await store.put(keys.version(version.version), encodeStored(version));
  await store.swap(keys.current, encodeStored({ version: version.version, generation: 1 }), undefined);
}

/** So many jobs, each through the doors: submitted, followed to its end, its rows read. */
async function runJobs(app: App, jobs: number, name: string): Promise<void> {
  let next = 0;
  const follow = async () => {
    for (let number = (next += 1); number <= jobs; number = next += 1) await oneJob(app, `${name}-${String(number)}`);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, follow));
}

async function oneJob(app: App, key: string): Promise<void> {
  const url = `/v1/apis/${API}/jobs`;
  const items = Array.from({ length: ITEMS }, (_, at) => at);
  const headers = { "content-type": "application/json", "idempotency-key": key };
  const payload = JSON.stringify({ workers: 1, item_list: { items, batch_size: 2 } });
  const accepted = await app.inject({ method: "POST", url, headers, payload });
  if (accepted.statusCode !== 202) throw new Error(`a submission was answered ${accepted.body}`);
  const job = accepted.json<{ readonly job_id: string }>().job_id;
  const events = await app.inject({ url: `${url}/${job}/events` });
  if (!events.body.includes('"state":"succeeded"'))
    throw new Error(`job ${job} did not succeed: ${events.body.slice(-500)}`);
  const rows = await app.inject({ url: `${url}/${job}/results` });
  const count = rows.body.split("\n").filter(Boolean).length;
  if (count !== ITEMS) throw new Error(`job ${job} has ${String(count)} rows`);
  if (Number(key.split("-").at(-1)) % LOOKED_AT > 0) return;
  for (const path of [
    `${url}/${job}`,
    `${url}/${job}/errors`,
    `${url}/${job}/logs`,
    `${url}?limit=5`,
    "/metrics",
    "/",
  ]) {
    const answer = await app.inject({ url: path });
    if (answer.statusCode !== 200) throw new Error(`${path} was answered ${answer.body}`);
  }
}

/** What is held once nothing is under way. */
async function settled(root: string): Promise<Leftovers> {
  const collect = (globalThis as { readonly gc?: () => void }).gc;
  if (collect === undefined) throw new Error("start it with node --expose-gc");
  await sleep(2_000); // the last jobs' lanes are freed, idle loops sleep
  for (let turn = 0; turn < 4; turn += 1) {
    collect();
    await sleep(50);
  }
  // an idle service looks into folders now and then: what such a look reads is not held
  while (process.getActiveResourcesInfo().includes("FSReqCallback")) await sleep(2);
  collect();
  const remembered = jobsInMemory(); // the heap as it is at this call
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  return {
    heapBytes: process.memoryUsage().heapUsed,
    descriptors: readdirSync("/proc/self/fd").length,
    resources,
    jobsRemembered: await remembered,
    temporaryFiles: filesIn(join(root, "store/@tmp")) + filesIn(join(root, "store", apiKeys(API).active)),
  };
}

function filesIn(folder: string): number {
  try {
    return readdirSync(folder).length;
  } catch {
    return 0; // removed with its last file
  }
}

const HELP = `node --expose-gc test/system/leaks/tiny-jobs.ts [--jobs 1000]
Runs so many tiny jobs through one service, after ${String(WARM_UP_JOBS)} that warm it up, and prints as JSON what it holds before and after:
heapBytes, descriptors, resources (timers, sockets), jobsRemembered (jobs whose ids stand in its memory), temporaryFiles.
`;
const { values } = parseArgs({ options: { jobs: { type: "string", default: "1000" }, help: { type: "boolean" } } });
process.stdout.write(values.help === true ? HELP : `${JSON.stringify(await run(wholeOf("--jobs", values.jobs)))}\n`);
