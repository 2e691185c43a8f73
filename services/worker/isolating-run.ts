/** One batch that is taken apart on one handler: what its items run on, for how long, and what is told of it meanwhile. */
import { LIMITS } from "../protocol/limits.ts";
import type { RunMeta } from "../protocol/frames.ts";
import { batchId } from "../protocol/ids.ts";
import type { ItemRange } from "../protocol/ledger.ts";
import { isolatedEnd } from "./attempt-end.ts";
import { arrayOf, NEVER_BEGUN, runItems, type ItemsRun } from "./attempt.ts";
import type { WorkerDeps } from "./context.ts";
import { UNBEGUN_MAX, type HeldBatch } from "./hand.ts";
import type { IsolatedRanges } from "./isolated-ranges.ts";
import { isolate, type Decided, type Failure, type RangeAnswer } from "./isolation.ts";
import type { PayloadItem } from "./payload-reader.ts";
import type { AttemptEnd, Settler } from "./settler.ts";
import type { Slot } from "./slot.ts";

export interface IsolatorParts {
  readonly settler: Pick<Settler, "note" | "flush">;
  /** False: the worker leaves, or the lane record that allowed this is gone. */
  readonly mayGoOn: () => boolean | Promise<boolean>;
  /** Aborted when the worker leaves. */
  readonly leaving: AbortSignal;
}

export interface IsolatedBatch {
  readonly held: HeldBatch;
  readonly items: readonly PayloadItem[];
  /** How all of it failed here; undefined: workers died over it. */
  readonly whole: AttemptEnd | undefined;
  readonly ranges: IsolatedRanges;
  /** As `IsolationParts` says. */
  readonly known: readonly Decided[];
  readonly died: readonly ItemRange[];
}

/** Of the batch timeout, for some of its items however few: what each call costs, and a handler that is new. */
const CALL_SHARE = 1 / 16;

/** Takes the batch apart on a slot that is reserved for it; undefined: the worker leaves. */
export function isolateOn(
  slot: Slot,
  deps: WorkerDeps,
  parts: IsolatorParts,
  batch: IsolatedBatch,
): Promise<AttemptEnd | undefined> {
  return new IsolatingRun(slot, deps, parts, batch).end();
}

/** Durable before items begin, so that their worker's death can be charged to them. False: they may begin no more. */
export async function markStarted(
  { settler, mayGoOn }: Pick<IsolatorParts, "settler" | "mayGoOn">,
  { message: { batch, attempt } }: HeldBatch,
  range?: ItemRange,
): Promise<boolean> {
  settler.note({ t: "started", batch, attempt, ...(range === undefined ? {} : { range }) });
  await settler.flush();
  return mayGoOn();
}

class IsolatingRun {
  readonly #slot: Slot;
  readonly #deps: WorkerDeps;
  readonly #parts: IsolatorParts;
  readonly #batch: IsolatedBatch;
  /** Seconds in the handler that taking it apart may take, and has taken. */
  readonly #secondsMax: number;
  #seconds = 0;

  constructor(slot: Slot, deps: WorkerDeps, parts: IsolatorParts, batch: IsolatedBatch) {
    this.#slot = slot;
    this.#deps = deps;
    this.#parts = parts;
    this.#batch = batch;
    this.#secondsMax = isolationSeconds(deps.spec.batch_timeout_seconds, batch.whole?.line.seconds ?? 0);
  }

  async end(): Promise<AttemptEnd | undefined> {
    const { held, items, whole, ranges, known, died } = this.#batch;
    const isolation = await isolate({
      ...{ items: items.length, whole: whole?.errors[0], known, died },
      run: (range) => this.#run(range),
      decided: (one) => {
        ranges.keep(one);
      },
      over: (last) => this.#over(last),
    });
    if (isolation === undefined) return undefined;
    const { fits } = isolation;
    const { batch } = held.message;
    if (fits !== undefined)
      this.#deps.say(`${outOfMemorySentence(items.length, fits)}: lower batch_size to that`, batch);
    return isolatedEnd(held.message, isolation, items, this.#seconds + (whole?.line.seconds ?? 0));
  }

  /** Why nothing of it may run any more. */
  #over(last: Failure | undefined): Failure | undefined {
    const { items, died } = this.#batch;
    const why = last === undefined ? "" : `; the last that failed: ${last.error}`;
    if (died.length >= LIMITS.deathsOverBatchMax) {
      const error = `${String(died.length)} workers have died over items of this batch, more than are spent on one; this item was not told from the others; give a smaller batch_size${why}`;
      return { cause: "worker_died", error: cut(error), traceback: "" };
    }
    if (this.#seconds < this.#secondsMax) return undefined;
    const set = this.#deps.spec.batch_timeout_seconds === null ? "give a smaller batch_size" : "give a longer batch_timeout, or a smaller batch_size"; // prettier-ignore
    const error = `the ${String(items.length)} items of this batch were being told apart for ${String(this.#secondsMax)} seconds, and this one was left; ${set}${why}`;
    return { cause: "not_isolated", error: cut(error), traceback: "" };
  }

  async #run(range: ItemRange): Promise<RangeAnswer> {
    const { held, ranges } = this.#batch;
    await ranges.written(held.alone);
    if (!(await this.#parts.mayGoOn())) return INTERRUPTED;
    if (held.alone && !(await markStarted(this.#parts, held, range))) return INTERRUPTED;
    for (let unbegun = 0; unbegun < UNBEGUN_MAX; unbegun += 1) {
      const ran = await this.#slot.runReserved(held, this.#limitMs(range), (handler) => {
        return runItems(handler, this.#meta(range), this.#arrayOf(range), () => this.#itemsOf(range));
      });
      if (ran === undefined) return INTERRUPTED;
      this.#seconds += ran.seconds;
      const answer = this.#answerOf(range, ran.run);
      if (answer !== undefined) return answer;
    }
    return NEVER_BEGUN;
  }

  /** Undefined: it was not begun. */
  #answerOf(range: ItemRange, { answer, apart }: ItemsRun): RangeAnswer | undefined {
    switch (answer.kind) {
      case "not_begun":
        return this.#parts.leaving.aborted ? INTERRUPTED : undefined;
      case "failed": {
        const { kind, cause, error, traceback } = answer;
        if (cause === "aborted") return INTERRUPTED;
        return { kind, cause, error: cause === "timed_out" ? this.#timeoutSentence(range) : error, traceback };
      }
      case "done": {
        const rows = answer.rows === null ? null : { bytes: answer.bytes, count: answer.rows };
        return { kind: "done", rows, apart: apart.map((at) => range[0] + at) };
      }
    }
  }

  #meta([from, to]: ItemRange): RunMeta {
    const { job, batch, attempt, first_item: first } = this.#batch.held.message;
    return {
      batch_id: batchId(job, batch, `/${String(from)}-${String(to)}`),
      parent_id: batchId(job, batch),
      ...{ attempt, items: to - from, first: first + from },
    };
  }

  #itemsOf([from, to]: ItemRange): readonly PayloadItem[] {
    return this.#batch.items.slice(from, to);
  }

  #arrayOf(range: ItemRange): Buffer {
    return arrayOf(this.#itemsOf(range).map(({ bytes }) => bytes));
  }

  #limitMs([from, to]: ItemRange): number | undefined {
    const { batch_timeout_seconds: seconds } = this.#deps.spec;
    if (seconds === null) return undefined;
    return 1000 * shareSeconds(seconds, (to - from) / this.#batch.items.length);
  }

  #timeoutSentence(range: ItemRange): string {
    const seconds = (this.#limitMs(range) ?? 0) / 1000;
    const what =
      range[1] - range[0] === 1 ? "The item, running on its own," : `${String(range[1] - range[0])} items of the batch`;
    return `${what} took longer than its share of the batch timeout, ${String(Math.round(seconds * 100) / 100)} s, and the handler process was killed`;
  }
}

const INTERRUPTED = { kind: "interrupted" } as const;

/** How long a share of a batch's items may take: that share of the batch timeout, with room for what each call costs. */
export function shareSeconds(batchTimeoutSeconds: number, share: number): number {
  const least = Math.max(LIMITS.isolationTimeoutSecondsMin, batchTimeoutSeconds * CALL_SHARE);
  return Math.min(batchTimeoutSeconds, Math.max(least, batchTimeoutSeconds * share));
}

/** Seconds in the handler after which what is undecided fails: twice the batch timeout. */
export function isolationSeconds(batchTimeoutSeconds: number | null, wholeSeconds: number): number {
  if (batchTimeoutSeconds === null) return Math.max(LIMITS.isolationSecondsDefault, 4 * Math.ceil(wholeSeconds));
  return Math.max(LIMITS.isolationSecondsMin, 2 * batchTimeoutSeconds);
}

/** What no item is to blame for. */
export function outOfMemorySentence(items: number, fits: number): string {
  return `${String(items)} items at a time ran out of memory, and ${String(fits)} at a time did not`;
}

function cut(sentence: string): string {
  return sentence.slice(0, LIMITS.errorCharactersMax);
}
