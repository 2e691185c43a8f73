/** In-memory services for tests of the doors: they keep what they are told and behave like the real ones at the border. */
import type { LogLine, LogPage, LogQuery } from "../../services/backends/log-store.ts";
import type { ApiList, ApiService, ApiView, DamagedApi, Deployed } from "../../services/batch-api/apis/api-service.ts";
import type { DryRun, JobList, JobService, JobView, SubmitOptions } from "../../services/batch-api/jobs/job-service.ts";
import type { ApiVersion, ErrorRow, JobInput } from "../../services/protocol/jobs.ts";
import { Problem } from "../../services/protocol/problems.ts";
import type { RetryRequest } from "../../services/protocol/retry.ts";
import { isFinal } from "../../services/protocol/states.ts";
import type { JobState } from "../../services/protocol/states.ts";
import type { Submission } from "../../services/protocol/submission.ts";

const T0 = Date.UTC(2026, 0, 2, 3, 4, 5);

export function anApiVersion(api: string, cortexDialect = "0.42"): ApiVersion {
  return {
    format: 1,
    api,
    version: "v1",
    spec: {
      name: api,
      handler: {
        kind: "python",
        path: "handler.py",
        python_path: null,
        processes: 1,
        log_level: "info",
        dependencies: { pip: "requirements.txt", conda: "conda-packages.txt", shell: "dependencies.sh" },
      },
      compute: { cpu: null, mem: null, gpu: 0 },
      config: {},
      env: { TOKEN: "secret-value" },
      workers: 1,
      batch_size: 10,
      attempts: 3,
      isolate: true,
      batch_timeout_seconds: null,
      cortex_dialect: cortexDialect,
      cortex_project: false,
    },
    project: "0".repeat(64),
    environment: null,
    worker_format: 1,
    created_at: T0,
  };
}

export class FakeApiService implements ApiService {
  readonly views = new Map<string, ApiView>();
  damaged: readonly DamagedApi[] = [];
  readonly archives: Buffer[] = [];
  /** Thrown by the next deployment. */
  refusal: Error | undefined;

  add(api: string, cortexDialect?: string): void {
    const current = anApiVersion(api, cortexDialect);
    this.views.set(api, { current, versions: [{ version: current.version, created_at: current.created_at }] });
  }

  async list(): Promise<ApiList> {
    return { views: [...this.views.values()], damaged: this.damaged };
  }

  async get(api: string): Promise<ApiView> {
    const view = this.views.get(api);
    if (view === undefined) throw new Problem("api_not_found", `No API "${api}" is deployed; deploy it first.`);
    return view;
  }

  async deploy(api: string, archive: Buffer, progress: (sentence: string) => void): Promise<Deployed> {
    progress("Unpacking the project.");
    if (this.refusal !== undefined) throw this.refusal;
    const change = this.views.has(api) ? "updated" : "created";
    this.archives.push(archive);
    this.add(api);
    return { view: await this.get(api), change };
  }

  async remove(api: string): Promise<void> {
    await this.get(api);
    this.views.delete(api);
  }
}

export class FakeJobService implements JobService {
  readonly #apis: FakeApiService;
  readonly jobs = new Map<string, JobView>();
  readonly submissions: { readonly submission: Submission; readonly options: SubmitOptions }[] = [];
  readonly retries: { readonly job: string; readonly request: RetryRequest; readonly options: SubmitOptions }[] = [];
  /** What `results` and `events` yield; a test may put its own. */
  resultsOf: (signal: AbortSignal) => AsyncIterable<Buffer> = async function* () {
    yield Buffer.from('{"index":0,"result":1}\n');
  };
  eventsOf: ((signal: AbortSignal) => AsyncIterable<JobView>) | undefined;
  /** Thrown by the next call of any kind. */
  refusal: Error | undefined;
  logLines: LogLine[] = [{ at: T0, worker: "1-1-0-aa", from: "handler", text: "hello" }];

  constructor(apis: FakeApiService) {
    this.#apis = apis;
  }

  async submit(api: string, submission: Submission, options: SubmitOptions): Promise<JobView> {
    await this.#apis.get(api);
    this.#refuse();
    this.submissions.push({ submission, options });
    const view = aJobView(api, (0x6d00_0000_0000_0000n + BigInt(this.jobs.size)).toString(16), submission, options);
    this.jobs.set(view.spec.job, view);
    return view;
  }

  async dryRun(api: string, submission: Submission): Promise<DryRun> {
    await this.#apis.get(api);
    this.#refuse();
    if (submission.input.kind === "item_list") return { uris: [], objects: 0 };
    return { uris: submission.input.paths, objects: submission.input.paths.length };
  }

  async get(api: string, job: string): Promise<JobView> {
    await this.#apis.get(api);
    this.#refuse();
    const view = this.jobs.get(job);
    if (view?.spec.api !== api) {
      throw new Problem("job_not_found", `API "${api}" has no job of this id; list its jobs for their ids.`);
    }
    return view;
  }

  async list(api: string, query: { readonly state?: JobState; readonly limit?: number }): Promise<JobList> {
    await this.#apis.get(api);
    const all = [...this.jobs.values()].filter((view) => view.spec.api === api);
    const wanted = all.filter((view) => query.state === undefined || view.state === query.state);
    const jobs = wanted.slice(0, query.limit ?? 20);
    return jobs.length < wanted.length ? { jobs, next: "more" } : { jobs };
  }

  async retry(api: string, job: string, request: RetryRequest, options: SubmitOptions): Promise<JobView> {
    const { spec } = await this.get(api, job);
    const input = { ...spec.input, kind: "retry" as const, retry_of: job, root: job, retried: request.items };
    const id = (0x6e00_0000_0000_0000n + BigInt(this.jobs.size)).toString(16);
    const retried = { ...spec, job: id, input: { ...input, remaining: false } };
    const view = { ...(await this.get(api, job)), spec: retried };
    this.retries.push({ job, request, options });
    this.jobs.set(id, view);
    return view;
  }

  async stop(api: string, job: string): Promise<JobView> {
    const view = await this.get(api, job);
    if (isFinal(view.state)) throw new Problem("job_is_final", `The job has ended as ${view.state}.`);
    return this.change(job, { state: "stopped", cause: { kind: "stopped" }, at: { ...view.at, stopped: T0 + 5000 } });
  }

  change(job: string, changes: Partial<JobView>): JobView {
    const view = this.jobs.get(job);
    if (view === undefined) throw new Error("no such job");
    const changed = { ...view, ...changes };
    this.jobs.set(job, changed);
    return changed;
  }

  results(_api: string, _job: string, options: { readonly signal: AbortSignal }): AsyncIterable<Buffer> {
    return this.resultsOf(options.signal);
  }

  async *errors(): AsyncIterable<ErrorRow> {
    const at = { uri: "file:///data/a.jsonl", start: 0, end: 9 };
    yield { index: 3, batch: 1, attempts: 3, cause: "raised", error: "ValueError", traceback: "", at };
  }

  async logs(_api: string, _job: string, query: LogQuery): Promise<LogPage> {
    return { lines: this.logLines.slice(0, query.linesMax), cursor: "after" };
  }

  async *followLogs(): AsyncIterable<LogLine> {
    yield* this.logLines;
  }

  async *events(api: string, job: string, signal: AbortSignal): AsyncIterable<JobView> {
    if (this.eventsOf !== undefined) yield* this.eventsOf(signal);
    else yield await this.get(api, job);
  }

  #refuse(): void {
    if (this.refusal === undefined) return;
    const refusal = this.refusal;
    this.refusal = undefined;
    throw refusal;
  }
}

function inputOf(submission: Submission): JobInput {
  const { input } = submission;
  const batch_size = input.batchSize ?? 10;
  if (input.kind !== "item_list") {
    return { kind: input.kind, batch_size, paths: input.paths, includes: input.includes, excludes: input.excludes };
  }
  const bytes = input.items.reduce((sum, item) => sum + item.length, 0);
  return { kind: "item_list", batch_size, items: input.items.length, bytes };
}

function aJobView(api: string, job: string, submission: Submission, options: SubmitOptions): JobView {
  const dead = submission.deadLetterQueue;
  return {
    spec: {
      format: 1,
      job,
      api,
      version: "v1",
      submission: "0".repeat(32),
      accepted_at: T0,
      workers: submission.workers ?? 1,
      config: submission.config,
      timeout_seconds: submission.timeoutSeconds,
      input: inputOf(submission),
      attempts: submission.attempts ?? 3,
      isolate: submission.isolate ?? true,
      batch_timeout_seconds: submission.batchTimeoutSeconds ?? null,
      priority: submission.priority,
      labels: submission.labels,
      dead_letter_queue: dead === null ? null : { arn: dead.arn, max_receive_count: dead.maxReceiveCount ?? 3 },
      warnings: options.warnings ?? [],
    },
    state: "pending",
    splitting: false,
    cause: null,
    message: "Waits for a lane.",
    counts: {
      batches: 0,
      items: 0,
      complete: false,
      batches_succeeded: 0,
      batches_failed: 0,
      items_succeeded: 0,
      items_failed: 0,
      attempts_failed: 0,
      handler_seconds: 0,
    },
    batches_running: 0,
    batches_waiting: 0,
    workers: { asked: 1, pending: 0, starting: 0, ready: 0, lost: 0 },
    items_per_second: 0,
    estimated_seconds_left: null,
    at: { pending: T0 },
  };
}
