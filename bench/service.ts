/** A laptop service for one bench: a folder of its own, one API, jobs submitted and watched from inside the process. */
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { realClock } from "../services/backends/clock.real.ts";
import { packProject } from "../services/project/project-folder.ts";
import type { JobView } from "../services/batch-api/jobs/job-service.ts";
import { startLaptop, type LaptopService } from "../services/batch-api/laptop.ts";
import { Problem } from "../services/protocol/problems.ts";
import { isFinal } from "../services/protocol/states.ts";

const API = "bench";
const JOB_SECONDS_MAX = 300;

export interface BenchService {
  readonly service: LaptopService;
  /** Where input lies that its jobs may read. */
  readonly inputs: string;
  /** Where handlers may write, and the service keeps its state. */
  readonly root: string;
  /** Submits over HTTP, as a client would. */
  submit(body: Readonly<Record<string, unknown>>): Promise<string>;
  /**
   * Looks at the job each `lookMs` (default 2) until `over`; answers the last view. Throws when it ends otherwise, or not
   * in time. Looking costs: where throughput is measured, seldom is better.
   */
  until(job: string, over: (view: JobView) => boolean, lookMs?: number): Promise<JobView>;
  /** Stops the job if it is not over, and waits for its final state. */
  stop(job: string): Promise<void>;
}

/** Deploys `handler` (Python source) with its `processes` per worker, and lets `use` run jobs on it. */
export async function withService<T>(
  options: { readonly handler: string; readonly processes?: number; readonly workersMax?: number },
  use: (bench: BenchService) => Promise<T>,
): Promise<T> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "millrace-bench-")));
  const inputs = join(folder, "inputs");
  await mkdir(inputs);
  const service = await startLaptop({
    root: join(folder, "root"),
    host: "127.0.0.1",
    port: 0,
    allow: [inputs],
    lanes: 1,
    environment: process.env,
    logger: pino({ level: "silent" }),
    version: "bench",
    onFatal: (error) => {
      throw error;
    },
  });
  try {
    await deploy(service, folder, options.handler, options.processes ?? 1);
    return await use({
      service,
      inputs,
      root: folder,
      submit: (body) => submit(service.address, body),
      until: (job, over, lookMs) => until(service, job, over, lookMs ?? 2),
      stop: (job) => stop(service, job),
    });
  } finally {
    await service.stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function deploy(service: LaptopService, folder: string, handler: string, processes: number): Promise<void> {
  const project = join(folder, "project");
  await mkdir(project);
  await writeFile(join(project, "handler.py"), handler);
  const spec = `name: ${API}\nhandler: { type: python, path: handler.py, processes: ${String(processes)} }\n`;
  await writeFile(join(project, "millrace.yaml"), spec);
  const { archive } = await packProject(project, homedir());
  await service.apis.deploy(API, archive, () => undefined);
}

async function submit(address: string, body: Readonly<Record<string, unknown>>): Promise<string> {
  const answer = await fetch(`${address}/v1/apis/${API}/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  if (answer.status !== 202) throw new Error(`the bench's submission was answered ${String(answer.status)}: ${text}`);
  return (JSON.parse(text) as { readonly job_id: string }).job_id;
}

async function until(
  service: LaptopService,
  job: string,
  over: (view: JobView) => boolean,
  lookMs: number,
): Promise<JobView> {
  const endsAt = realClock.monotonicMs() + JOB_SECONDS_MAX * 1000;
  for (;;) {
    const view = await service.jobs.get(API, job);
    if (over(view)) return view;
    if (isFinal(view.state)) throw new Error(`the bench's job ended as ${view.state}: ${view.message}`);
    if (realClock.monotonicMs() > endsAt) throw new Error(`the bench's job took over ${String(JOB_SECONDS_MAX)} s`);
    await realClock.sleep(lookMs);
  }
}

async function stop(service: LaptopService, job: string): Promise<void> {
  await service.jobs.stop(API, job).catch((error: unknown) => {
    if (!(error instanceof Problem)) throw error; // it is over already
  });
  while (!isFinal((await service.jobs.get(API, job)).state)) await realClock.sleep(10);
}
