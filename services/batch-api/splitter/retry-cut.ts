/**
 * The input of a retry: items of its parent's batches, then, where its parent was ended early, what its parent's own input
 * had still to give. That is cut as the parent would have cut it on, and what is listed for it stands with the family's
 * root, so that every job of the family means the same item by the same index.
 */
import { JOB_FORMAT, type JobSpec, type Manifest, type RetryInput } from "../../protocol/jobs.ts";
import { jobKeys } from "../../protocol/keys.ts";
import { SPLIT_FORMAT, type SplitEnd } from "../../protocol/pointers.ts";
import { settledBatches } from "../jobs/settled-batches.ts";
import { readObject } from "../jobs/stored.ts";
import type { Draft } from "./draft.ts";
import { gone, RetriedItems, type ItemPlace } from "./retried-items.ts";
import type { Filled, SplitInput } from "./split-input.ts";
import { StagedCut, type CutOptions } from "./staged-cut.ts";

type CutSpec = Pick<JobSpec, "api" | "job" | "input">;

/** `origin`: index in the family's root of the item that begins there, where the parent is the root. */
type RetryPlace =
  | ({ readonly phase: "settled" } & ItemPlace)
  | { readonly phase: "remaining"; readonly place: unknown; readonly origin: number };

const FIRST: RetryPlace = { phase: "settled", split: 0, item: 0, part: 0, byte: 0 };

/** What one batch of the parent counts for, so that steps stay short. */
const BATCH_COST_BYTES = 16 * 1024;

/** The input of any job. */
export function splitInputOf(spec: CutSpec, options: CutOptions): SplitInput {
  const { api, job, input } = spec;
  return input.kind === "retry" ? new RetryCut(api, input, options) : new StagedCut({ api, job, input }, options);
}

class RetryCut implements SplitInput {
  readonly #api: string;
  readonly #input: RetryInput;
  readonly #options: CutOptions;
  #entered: RetryPlace = FIRST;
  #parent: { readonly spec: JobSpec; readonly end: SplitEnd } | undefined;
  #settled: RetriedItems | undefined;
  #remaining: { readonly cut: SplitInput; origin: number } | undefined;

  constructor(api: string, input: RetryInput, options: CutOptions) {
    this.#api = api;
    this.#input = input;
    this.#options = options;
  }

  get place(): RetryPlace {
    const remaining = this.#remaining;
    if (remaining !== undefined) return { phase: "remaining", place: remaining.cut.place, origin: remaining.origin };
    return this.#settled === undefined ? this.#entered : { phase: "settled", ...this.#settled.place };
  }

  async enter(place: unknown): Promise<void> {
    await this.close();
    this.#settled = undefined;
    this.#remaining = undefined;
    this.#entered = place as RetryPlace;
  }

  async fill(draft: Draft, batchesMax: number): Promise<Filled> {
    if (this.#remaining === undefined && this.#entered.phase === "settled") {
      const settled = (this.#settled ??= await this.#openSettled(this.#entered));
      const before = settled.passedBytes;
      if (await settled.fill(draft, batchesMax)) {
        return { kind: "scanned", bytes: settled.passedBytes - before + BATCH_COST_BYTES };
      }
      if (!this.#input.remaining) return { kind: "through" };
    }
    return this.#fillRemaining(draft, batchesMax);
  }

  async close(): Promise<void> {
    await this.#remaining?.cut.close();
  }

  async #openSettled(place: ItemPlace): Promise<RetriedItems> {
    const { spec, end } = await this.#openParent();
    const { store } = this.#options;
    const keys = jobKeys(spec.api, spec.job);
    const manifest = await readObject<Manifest>(store, keys.manifest, JOB_FORMAT);
    if (manifest === undefined) throw gone(keys.manifest);
    const skipped = this.#input.retried === "failed_and_skipped" && manifest.skipped.batches > 0;
    const isSettled = skipped ? { isSettled: await settledBatches(store, spec, end) } : {};
    const job = { keys, end, batchSize: spec.input.batch_size, errors: manifest.errors, ...isSettled };
    return new RetriedItems(this.#options, job, this.#options.batchSize, place);
  }

  async #fillRemaining(draft: Draft, batchesMax: number): Promise<Filled> {
    const { spec, end } = await this.#openParent();
    const remaining = (this.#remaining ??= await this.#openRemaining(spec, end));
    const before = draft.itemsThrough;
    const filled = await remaining.cut.fill(draft, batchesMax);
    const items = draft.itemsThrough - before;
    // A retry in turn says itself where its items come from.
    if (items > 0 && spec.input.kind !== "retry") draft.originate({ first: remaining.origin, items });
    remaining.origin += items;
    return filled.kind === "no_match" ? { kind: "through" } : filled;
  }

  async #openRemaining(spec: JobSpec, end: SplitEnd) {
    const cut = splitInputOf(spec, this.#options);
    const entered = this.#entered.phase === "remaining" ? this.#entered : undefined;
    const place = entered?.place ?? end.cursor;
    if (place !== undefined) await cut.enter(place);
    return { cut, origin: entered?.origin ?? end.items };
  }

  async #openParent() {
    if (this.#parent !== undefined) return this.#parent;
    const { store } = this.#options;
    const keys = jobKeys(this.#api, this.#input.retry_of);
    const spec = await readObject<JobSpec>(store, keys.spec, JOB_FORMAT);
    const end = await readObject<SplitEnd>(store, keys.splitEnd, SPLIT_FORMAT);
    if (spec === undefined) throw gone(keys.spec);
    if (end === undefined) throw gone(keys.splitEnd);
    return (this.#parent = { spec, end });
  }
}
