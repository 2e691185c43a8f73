import { batchId } from "../../services/protocol/ids.ts";
import type { RunMeta } from "../../services/protocol/frames.ts";
import type { OutcomeLine } from "../../services/protocol/ledger.ts";
import type { Deed } from "./handler-script.ts";
import type { Deeds } from "./simulated-handler.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { UserJob } from "./user-job.ts";
import type { World } from "./world.ts";

/** What a job's handlers did, as they themselves would tell: to be held against what was written down. */
export class JobRuns {
  readonly #world: World;
  readonly #job: string;
  readonly #user: UserJob | undefined;
  readonly #batchOf = new Map<string, number>();
  /** Runs begun, by batch: all of it or some of its items. */
  readonly begun = new Map<number, number>();
  /** Runs in which a batch had its bad item. */
  readonly #begunBadly = new Map<number, number>();
  /** Items whose run has ended well. */
  readonly #done = new Set<number>();
  /** The hook's. */
  hooksBegun = 0;
  hooksEnded = 0;
  readonly #sent = new Map<string, number>();
  /** What the state counts as sent, and in which epoch. */
  #mark = { epoch: 0, through: 0 };
  /** Workers that ever held a claim of the hook. */
  readonly #claimants = new Set<string>();
  /** The worker on it, where the job has one. */
  #badMachine: string | undefined;
  /** Batches that were taken apart. */
  readonly #parted = new Set<number>();

  constructor(world: World, job: string, user: UserJob | undefined) {
    this.#world = world;
    this.#job = job;
    this.#user = user;
    for (let batch = 0; batch < (user?.batches ?? 0); batch += 1) this.#batchOf.set(batchId(job, batch), batch);
  }

  noteMark(epoch: number, through: number): void {
    this.#mark = { epoch, through };
  }

  noteClaim(worker: string): void {
    this.#claimants.add(worker);
  }

  /** How often this very attempt was sent in this epoch. I18: the mark comes first, or who takes over sends it all again. */
  noteSent(epoch: number, batch: number, attempt: number): number {
    const name = `${String(epoch)}/${String(batch)}/${String(attempt)}`;
    const times = (this.#sent.get(name) ?? 0) + 1;
    this.#sent.set(name, times);
    if (epoch === this.#mark.epoch && batch >= this.#mark.through)
      this.#world.broken(`I18: batch ${String(batch)} of job ${this.#job} is sent before its state counts it as sent`);
    return times;
  }

  /** I1, I14: what is written down as done was done. */
  noteOutcome({ batch, result, items, failed, cause }: OutcomeLine): void {
    if (cause === "input_changed") this.#world.count("batch of changed data");
    if (result === "none" || this.#user === undefined) return;
    if (result === "some" && this.#parted.has(batch)) this.#world.count("bad item told apart");
    const first = batch * this.#user.planned.batchSize;
    let done = 0;
    for (let index = first; index < first + items; index += 1) if (this.#done.has(index)) done += 1;
    if (done >= items - failed) return;
    this.#world.broken(
      `I1: job ${this.#job}: ${String(items - failed)} items of batch ${String(batch)} were written down as done, and ${String(done)} ran to their end`,
    );
  }

  deeds(process: SimulatedProcess, onRun: (nowMs: number) => void): Deeds {
    const milliseconds = () => {
      const { secondsMin, secondsMax } = this.#user?.planned.script ?? { secondsMin: 0.01, secondsMax: 0.1 };
      return 1000 * this.#world.pace.between(secondsMin, secondsMax);
    };
    return {
      run: (meta, items) => {
        onRun(this.#world.nowMs);
        const batch = this.#batchNumber(meta, process);
        const range = this.#rangeOf(batch, meta, process);
        this.#checkItems(batch, range, items);
        bump(this.begun, batch);
        const deed = this.#isOnBadMachine(process) ? "raise" : this.#deed(batch, range);
        return { deed, milliseconds: milliseconds() };
      },
      ran: (meta) => {
        const { from, to } = this.#rangeOf(this.#batchNumber(meta, process), meta, process);
        for (let index = from; index < to; index += 1) this.#done.add(index);
      },
      complete: () => {
        this.hooksBegun += 1;
        if (!this.#claimants.has(process.name.slice(1)))
          this.#world.broken(`I5: ${process.name} runs the hook of job ${this.#job}, of which it never had a claim`);
        return { deed: this.#hookDeed(), milliseconds: milliseconds() };
      },
      completed: () => {
        this.hooksEnded += 1;
      },
    };
  }

  #isOnBadMachine(process: SimulatedProcess): boolean {
    if (this.#user?.planned.script.badMachine !== true) return false;
    this.#badMachine ??= process.name;
    return this.#badMachine === process.name;
  }

  /** What is drawn befalls the runs that hold the batch's bad item. */
  #deed(batch: number, { from, to }: Items): Deed {
    const planned = this.#user?.planned.script.deeds.get(batch);
    if (planned === undefined || this.#user === undefined) return "succeed";
    const { batchSize, items } = this.#user.planned;
    const bad = Math.min(batch * batchSize + (planned.item ?? from), items.length - 1);
    if (planned.item !== undefined && (bad < from || bad >= to)) return "succeed";
    const run = bump(this.#begunBadly, batch);
    return planned.first[run - 1] ?? (planned.forever ? (planned.first[0] ?? "succeed") : "succeed");
  }

  #hookDeed(): Deed {
    const hook = this.#user?.planned.script.hook;
    if (hook === "raises") return "raise";
    return hook === "kills the worker once" && this.hooksBegun === 1 ? "kill the worker" : "succeed";
  }

  #batchNumber(meta: RunMeta, process: SimulatedProcess): number {
    const batch = this.#batchOf.get(meta.parent_id ?? meta.batch_id);
    if (batch === undefined) {
      this.#world.broken(`I11: ${process.name} runs a batch that is none of its job ${this.#job}`);
      return -1;
    }
    if (meta.parent_id !== undefined && !this.#parted.has(batch)) this.#world.count("bisect");
    if (meta.parent_id !== undefined) this.#parted.add(batch);
    return batch;
  }

  /** Which items of the job it runs: all of a batch, or those that its derived id names. */
  #rangeOf(batch: number, meta: RunMeta, process: SimulatedProcess): Items {
    if (this.#user === undefined || batch < 0) return { from: 0, to: 0 };
    const { items, batchSize } = this.#user.planned;
    const first = batch * batchSize;
    const end = Math.min(items.length, first + batchSize);
    if (meta.parent_id === undefined) return { from: first, to: end };
    const from = meta.first;
    for (let to = from + meta.items; to <= end; to += 1) {
      const derived = `/${String(from - first)}-${String(to - first)}`;
      if (batchId(this.#job, batch, derived) === meta.batch_id) return { from, to };
    }
    this.#world.broken(`I4: ${process.name} runs items ${String(from)}+${String(meta.items)} under an id that is not theirs`); // prettier-ignore
    return { from, to: from };
  }

  /** I4: the handler gets the items as they were submitted; those that are no JSON are left out. */
  #checkItems(batch: number, { from, to }: Items, items: Buffer): void {
    if (this.#user === undefined || batch < 0) return;
    const wanted = this.#user.planned.items.slice(from, to).filter((item) => !item.startsWith("bad"));
    const found = JSON.parse(items.toString("utf8")) as unknown[];
    if (JSON.stringify(found) === `[${wanted.join(",")}]`) return;
    this.#world.broken(`I4: batch ${String(batch)} of job ${this.#job} came to its handler with other items`);
  }
}

/** Items of the job, by their indexes; the end is not one of them. */
interface Items {
  readonly from: number;
  readonly to: number;
}

function bump(counts: Map<number, number>, batch: number): number {
  const count = (counts.get(batch) ?? 0) + 1;
  counts.set(batch, count);
  return count;
}
