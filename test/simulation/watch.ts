import type { GenerationName } from "../../services/backends/worker-pool.ts";
import type { CompletionRecord, JobSpec, StateRecord } from "../../services/protocol/jobs.ts";
import { parseWorkerName, workerOfLedger } from "../../services/protocol/keys.ts";
import type { LaneRecord } from "../../services/protocol/lanes.ts";
import type { LedgerLine, VerdictLine } from "../../services/protocol/ledger.ts";
import { LedgerFold } from "../../services/protocol/fold.ts";
import { parseLines } from "../../services/protocol/ledger.parse.ts";
import type { Message } from "../../services/protocol/messages.ts";
import { isFinal, mayMove } from "../../services/protocol/states.ts";
import { Holdings } from "./holdings.ts";
import { JobRuns } from "./job-runs.ts";
import { LaneRecords } from "./lane-records.ts";
import { Progress } from "./progress.ts";
import { noSecret, noSecretIn } from "./secrets.ts";
import type { Deeds } from "./simulated-handler.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { QueueObserver } from "./simulated-lanes.ts";
import type { StoreObserver } from "./simulated-store.ts";
import type { UserJob } from "./user-job.ts";
import { NUMBER_LABEL } from "./workload.ts";
import type { World } from "./world.ts";

const KEY = /^apis\/sim\/(?:jobs\/(?<job>\w+)\/)?(?<rest>.+)$/;

/** Sees all that happens to store and queue, and holds it against the invariants at once. */
export class Watch implements StoreObserver, QueueObserver {
  readonly #world: World;
  readonly #jobs: UserJob[];
  readonly runs = new Map<string, JobRuns>();
  readonly #states = new Map<string, StateRecord>();
  readonly #completions = new Map<string, CompletionRecord>();
  readonly #lanes: LaneRecords;
  readonly #folds = new Map<string, LedgerFold>();
  readonly #holdings: Holdings;
  readonly #progress: Progress;
  readonly #cuts = new Set<string>();
  readonly #active = new Set<string>();

  /** `jobs`: those that were planned; retries are added. */
  constructor(world: World, jobs: UserJob[]) {
    this.#world = world;
    this.#jobs = jobs;
    this.#holdings = new Holdings(world);
    this.#progress = new Progress(world);
    this.#lanes = new LaneRecords(world);
  }

  /** How many jobs stand under `active/`. */
  get activeJobs(): number {
    return this.#active.size;
  }

  put(key: string, bytes: Buffer, created: boolean): void {
    const { job, rest } = partsOf(key);
    noSecretIn(this.#world, job, rest, bytes);
    if (rest.startsWith("active/")) this.#active.add(rest);
    if (rest === "spec.json" && created) this.#accepted(job, JSON.parse(bytes.toString("utf8")) as JobSpec);
    if (rest === "cut.json" && !created) this.#world.count("cut race");
    if (!created && (rest.startsWith("splits/") || rest === "cut.json"))
      this.#world.count(`put refused: ${rest.replace(/\d+/, "n")}`);
    if (rest === "input/listing-end.json" && created) this.#userOf(job)?.listed();
    if (rest === "cut.json" && created) this.#cutMade(job);
    if (rest.startsWith("splits/0") && created && bytes.length > 0 && this.#isFinal(job)) {
      this.#world.count("split file after the end");
    }
  }

  swapped(key: string, bytes: Buffer, won: boolean): void {
    const { job, rest } = partsOf(key);
    if (!won) {
      this.#world.count(`swap lost: ${rest.replace(/\d+/, "n")}`);
      return;
    }
    noSecretIn(this.#world, job, rest, bytes);
    const record = JSON.parse(bytes.toString("utf8")) as unknown;
    if (rest === "state.json") this.#stateMoved(job, record as StateRecord);
    if (rest === "completion.json") this.#completionMoved(job, record as CompletionRecord);
    if (rest.startsWith("lanes/")) this.#lanes.moved(rest, record as LaneRecord);
  }

  appended(key: string, bytes: Buffer): void {
    const { job, rest } = partsOf(key);
    noSecretIn(this.#world, job, rest, bytes);
    if (rest.startsWith("ledger/")) {
      for (const line of parseLines<LedgerLine>(bytes).lines) this.#ledgerLine(job, key, line);
      if (this.#isFinal(job)) this.#world.count("late ledger line");
    }
    if (rest.startsWith("verdicts/")) {
      this.#world.count("verdict");
      for (const line of parseLines<VerdictLine>(bytes).lines) {
        if (line.range !== undefined) this.#world.count("ranged verdict");
        this.#fold(job)?.addVerdict(line);
        this.#holdings.judged(job, line);
      }
      this.#progress.folded(job, this.#fold(job)?.counts.batchesFailed ?? 0);
    }
  }

  deleted(key: string): void {
    const { rest } = partsOf(key);
    if (!rest.startsWith("active/")) this.#world.broken(`I17: ${key} was removed`);
    this.#active.delete(rest);
  }

  listed(prefix: string, keys: readonly string[]): void {
    const resumes = prefix.endsWith("/splits/") && keys.length > 0 && keys.every((key) => !key.endsWith("/end.json"));
    if (resumes) this.#world.count("split resumed");
    if (prefix.includes("/isolation/") && keys.length > 0) this.#world.count("isolation resumed");
  }

  sent(_lane: string, message: Message): void {
    noSecret(this.#world, "a message", JSON.stringify(message));
    if (message.kind === "completion") return;
    const runs = this.runsOf(message.job);
    const times = runs.noteSent(message.epoch, message.batch, message.attempt);
    if (message.attempt > 1) this.#world.count("retry sent");
    if (times > 1) this.#world.count("re-send");
    if (times > 1 && this.#world.chosenRates.lostMessage === 0) this.#world.count("re-send without a lost message");
    if (message.alone === true) this.#world.count("sent alone");
    if (times > 1 || message.attempt > 1) this.#holdings.sentAgain(message);
  }

  delivered(_lane: string, message: Message, to: string): void {
    const name = parseWorkerName(to.slice(1));
    if (message.epoch < name.epoch) this.#world.count("leftover delivered");
    if (message.epoch > name.epoch) this.#world.count("newer message to a zombie");
    if (message.kind === "batch") this.#holdings.delivered(message, to.slice(1));
    if (message.kind === "batch" && this.#fold(message.job)?.isSettled(message.batch) === true) {
      this.#world.count("redelivery of a settled batch");
    }
  }

  acked(message: Message, by: string): void {
    if (message.kind === "batch") this.#holdings.acked(message, by.slice(1));
  }

  /** A worker's process is gone. */
  ended(worker: string): void {
    this.#holdings.ended(worker);
  }

  runsOf(job: string): JobRuns {
    const known = this.runs.get(job);
    if (known !== undefined) return known;
    const runs = new JobRuns(this.#world, job, this.#userOf(job));
    this.runs.set(job, runs);
    return runs;
  }

  #accepted(job: string, { labels, input }: JobSpec): void {
    if (input.kind === "retry") {
      const parent = this.#userOf(input.retry_of);
      if (parent !== undefined) this.#jobs.push(parent.retriedAs(job));
      return;
    }
    const user = this.#jobs[Number(labels[NUMBER_LABEL])];
    if (user === undefined) return;
    if (user.id !== undefined) this.#world.broken(`I13: one submission made two jobs: ${user.id} and ${job}`);
    user.id = job;
  }

  #userOf(job: string): UserJob | undefined {
    return this.#jobs.find(({ id }) => id === job);
  }

  /** What the handler of one worker does; each run is written down. */
  deedsOf(name: GenerationName, process: SimulatedProcess): Deeds {
    return this.runsOf(name.job).deeds(process, () => {
      this.#mayRun(name);
    });
  }

  /** I10: no new batch starts later than a lease after its lane said stop, or went on to another job. */
  #mayRun(name: GenerationName): void {
    const closedAtMs = this.#lanes.closedAtMs(name.lane, name.epoch);
    if (closedAtMs === undefined) return;
    this.#world.count("run after the lane said stop");
    const { slow, freeze } = this.#world.chosenRates; // between the last look at the lane and the run anything may be slow
    if (slow + freeze > 0 || this.#world.nowMs - closedAtMs <= this.#world.leaseMs + 1_000) return;
    this.#world.broken(`I10: a batch of job ${name.job} begins long after its lane said stop`);
  }

  #stateMoved(job: string, state: StateRecord): void {
    const before = this.#states.get(job);
    const from = before?.state ?? "pending";
    if (isFinal(from)) this.#world.broken(`I7: job ${job} was ${from}, and is ${state.state}`);
    else if (from !== state.state && !mayMove(from, state.state)) this.#world.broken(`I7: job ${job} moved from ${from} to ${state.state}`); // prettier-ignore
    const cause = before?.cause ?? undefined;
    if (cause !== undefined && cause.kind !== state.cause?.kind && !isFinal(state.state)) {
      this.#world.broken(`job ${job}: the cause of its end changed from ${cause.kind}`);
    }
    if (before?.lane && state.lane) this.#driverMoved(job, before.lane, state.lane);
    this.#states.set(job, state);
    this.#progress.told(job, state);
    if (state.lane !== null) this.runsOf(job).noteMark(state.lane.epoch, state.sent_through);
    const user = this.#userOf(job);
    if (user !== undefined) user.state = state.state;
    if (isFinal(state.state)) this.#world.count(`job ${state.state}`);
  }

  /** I11: epochs and terms of a job rise, through all of its lanes. */
  #driverMoved(job: string, a: NonNullable<StateRecord["lane"]>, b: NonNullable<StateRecord["lane"]>): void {
    const name = ({ lane, epoch, term }: typeof a) =>
      `lane ${String(lane)}, epoch ${String(epoch)}, term ${String(term)}`;
    if (a.term > b.term || a.epoch > b.epoch) {
      this.#world.broken(`I11: job ${job}: a deposed driver (${name(b)}) wrote over ${name(a)}`);
    }
    if (a.lane === b.lane) return;
    this.#world.count("job went on in another lane");
    if (a.epoch === b.epoch) this.#world.broken(`I11: job ${job} had one epoch in ${name(a)} and ${name(b)}`);
  }

  #completionMoved(job: string, record: CompletionRecord): void {
    const before = this.#completions.get(job);
    this.#completions.set(job, record);
    const state = this.#states.get(job)?.state ?? "pending";
    if (before !== undefined && before.state !== "open" && before.state !== "claimed") {
      this.#world.broken(`I6: the hook of job ${job} was ${before.state}, and is ${record.state}`);
    }
    if (before !== undefined && record.opening < before.opening) this.#world.broken(`I6: job ${job}: an older opening of the hook was written`); // prettier-ignore
    if (record.state === "open" && record.opening > 1) this.#world.count("claim reopened");
    if (record.state === "closed")
      this.#world.count(before?.state === "claimed" ? "claimed hook closed" : "hook closed");
    if (state !== "completing")
      this.#world.broken(`I5: the hook of job ${job} moved to ${record.state} while the job was ${state}`);
    if ((record.state === "done" || record.state === "failed") && record.worker !== null) {
      const claimed =
        before?.state === "claimed" && before.worker === record.worker && before.opening === record.opening;
      if (!claimed)
        this.#world.broken(`I6: the hook of job ${job} is ${record.state} by ${record.worker}, whose claim it was not`);
    }
    if (record.state !== "claimed") return;
    this.#world.count("hook claimed");
    this.runsOf(job).noteClaim(record.worker);
    const user = this.#userOf(job);
    user?.hookClaimed();
    if (before?.state !== "open" || before.opening !== record.opening)
      this.#world.broken(`I5: job ${job}: a claim of what was not open`);
    if (user !== undefined && this.#fold(job)?.settled !== user.batches) {
      this.#world.broken(`I5: the hook of job ${job} was claimed before all batches were settled`);
    }
  }

  #ledgerLine(job: string, key: string, line: LedgerLine): void {
    this.#holdings.wrote(workerOfLedger(key), job, line);
    if (line.t === "outcome") {
      this.runsOf(job).noteOutcome(line);
      this.#fold(job)?.addOutcome(key, line);
      this.#progress.folded(job, this.#fold(job)?.counts.batchesFailed ?? 0);
    }
    if (line.t === "left") this.#world.count(`worker left: ${line.why}`);
    if (line.t === "left" && line.error !== undefined) this.#world.count("worker stood down");
    if (line.t === "started") this.#world.count("started line");
  }

  #cutMade(job: string): void {
    const state = this.#states.get(job)?.state ?? "pending";
    if (state !== "completing") this.#world.broken(`I17: the cut of job ${job} was made while it was ${state}`);
    if (this.#cuts.has(job)) this.#world.broken(`I17: job ${job} was cut twice`);
    this.#cuts.add(job);
  }

  #isFinal(job: string): boolean {
    const state = this.#states.get(job);
    return state !== undefined && isFinal(state.state);
  }

  #fold(job: string): LedgerFold | undefined {
    const known = this.#folds.get(job);
    if (known !== undefined) return known;
    const user = this.#userOf(job);
    if (user === undefined) return undefined;
    const { items, batchSize, submission } = user.planned;
    const itemsOf = (batch: number) => Math.min(batchSize, items.length - batch * batchSize);
    const fold = new LedgerFold(submission.attempts ?? 1, itemsOf);
    this.#folds.set(job, fold);
    return fold;
  }
}

function partsOf(key: string): { readonly job: string; readonly rest: string } {
  const groups = KEY.exec(key)?.groups;
  return { job: groups?.["job"] ?? "", rest: groups?.["rest"] ?? key };
}
