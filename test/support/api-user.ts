/** Somebody who uses a service through its doors: deploys, submits, waits, reads. */
import { mkdtemp } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import type { ObjectStore } from "../../services/backends/object-store.ts";
import { packProject } from "../../services/project/project-folder.ts";
import { verifyJob } from "../../services/batch-api/jobs/verify/verify.ts";
import type { jobToWire } from "../../services/batch-api/routes/job-wire.ts";
import type { ErrorRow, ResultRow } from "../../services/protocol/jobs.ts";
import { isFinal } from "../../services/protocol/states.ts";
import { until } from "./a-service.ts";
import { writeProject } from "./project-folder.ts";

export type JobOnWire = ReturnType<typeof jobToWire>;

export interface ProblemOnWire {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
}

export interface LogOnWire {
  readonly worker: string;
  readonly from: string;
  readonly text: string;
  readonly batch?: number;
}

export abstract class ApiUser {
  /** Projects are laid out under it. */
  readonly folder: string;
  #jobs: (readonly [api: string, job: string])[] = [];

  constructor(folder: string) {
    this.folder = folder;
  }

  abstract request(path: string, init?: RequestInit): Promise<Response>;

  /** Deploys a project of these files (or of this handler.py); answers the reply's status and body. */
  async deploy(api: string, project: string | Readonly<Record<string, string>>, spec: object = {}): Promise<Response> {
    const folder = await mkdtemp(join(this.folder, `${api}-`));
    const files = typeof project === "string" ? { "handler.py": project } : project;
    const yaml = JSON.stringify({ name: api, handler: { type: "python", path: "handler.py" }, ...spec });
    await writeProject(folder, { ...files, "millrace.yaml": yaml });
    const { archive } = await packProject(folder, homedir());
    const headers = { "content-type": "application/gzip" };
    return this.request(`/v1/apis/${api}`, { method: "PUT", headers, body: new Uint8Array(archive) });
  }

  async post(api: string, body: object, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return this.request(`/v1/apis/${api}/jobs`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
  }

  /** Submits a job that must be accepted. */
  async submit(api: string, body: object, headers: Readonly<Record<string, string>> = {}): Promise<JobOnWire> {
    const reply = await this.post(api, body, headers);
    const job = (await reply.json()) as JobOnWire;
    expect(reply.status, JSON.stringify(job)).toBe(202);
    this.#jobs.push([api, job.job_id]);
    return job;
  }

  /** Submits what must be refused. */
  async refused(api: string, body: object): Promise<ProblemOnWire> {
    const reply = await this.post(api, body);
    const problem = (await reply.json()) as ProblemOnWire;
    expect(reply.status, JSON.stringify(problem)).toBeGreaterThanOrEqual(400);
    return problem;
  }

  async job({ api, job_id: id }: Pick<JobOnWire, "api" | "job_id">): Promise<JobOnWire> {
    return (await (await this.request(`/v1/apis/${api}/jobs/${id}`)).json()) as JobOnWire;
  }

  async stop({ api, job_id: id }: JobOnWire): Promise<Response> {
    return this.request(`/v1/apis/${api}/jobs/${id}/stop`, { method: "POST" });
  }

  /** Waits until the job looks so. */
  async when(job: JobOnWire, looks: (job: JobOnWire) => boolean, seconds = 30): Promise<JobOnWire> {
    let last = job;
    const look = async () => {
      last = await this.job(job);
      return looks(last) ? last : undefined;
    };
    return until("the job to look as asked", look, seconds).catch((error: unknown) => {
      throw new Error(`${String(error)}; it is ${JSON.stringify(last)}`, { cause: error });
    });
  }

  ended(job: JobOnWire, seconds = 30): Promise<JobOnWire> {
    return this.when(job, ({ state }) => isFinal(state), seconds);
  }

  /** Submits, and waits for the end. */
  async run(api: string, body: object, seconds = 30): Promise<JobOnWire> {
    return this.ended(await this.submit(api, body), seconds);
  }

  async results(job: JobOnWire): Promise<readonly ResultRow[]> {
    return this.#lines(job, "results");
  }

  async errors(job: JobOnWire): Promise<readonly ErrorRow[]> {
    return this.#lines(job, "errors");
  }

  /** All of them, page by page. */
  async logs({ api, job_id: id }: JobOnWire): Promise<readonly LogOnWire[]> {
    const lines: LogOnWire[] = [];
    let query = "";
    for (;;) {
      const reply = await this.request(`/v1/apis/${api}/jobs/${id}/logs${query}`);
      expect(reply.status).toBe(200);
      const page = linesOf<LogOnWire>(await reply.text());
      if (page.length === 0) return lines;
      lines.push(...page);
      query = `?cursor=${encodeURIComponent(reply.headers.get("millrace-cursor") ?? "")}`;
    }
  }

  /** These jobs were removed with their API: there is nothing to prove of them. */
  forget(...jobs: readonly JobOnWire[]): void {
    const ids = new Set(jobs.map(({ job_id: id }) => id));
    this.#jobs = this.#jobs.filter(([, job]) => !ids.has(job));
  }

  /** Every job submitted since the last call is final and keeps every invariant that its objects can show. */
  protected async verifyAll(store: ObjectStore): Promise<void> {
    const jobs = this.#jobs;
    this.#jobs = [];
    for (const [api, job] of jobs) {
      const report = await verifyJob(store, api, job);
      const broken = report.checks.filter(({ result }) => result !== "holds");
      expect({ job, final: report.final, broken }).toEqual({ job, final: true, broken: [] });
    }
  }

  async #lines<T>({ api, job_id: id }: JobOnWire, what: string): Promise<readonly T[]> {
    return linesOf<T>(await (await this.request(`/v1/apis/${api}/jobs/${id}/${what}`)).text());
  }
}

function linesOf<T>(text: string): readonly T[] {
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line) as T); // prettier-ignore
}
