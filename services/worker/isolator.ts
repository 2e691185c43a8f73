/** Runs batches that may be taken apart: whole at first, then, when they fail on their last attempt, by halves. */
import { isolates } from "../protocol/jobs.ts";
import type { ItemRange } from "../protocol/ledger.ts";
import { blamesData, blamesItems, inputFault, neverBegun, unreadable, type AttemptResult } from "./attempt.ts";
import type { WorkerDeps } from "./context.ts";
import { UNBEGUN_MAX, type HeldBatch } from "./hand.ts";
import { IsolatedRanges } from "./isolated-ranges.ts";
import { isolateOn, markStarted, type IsolatorParts } from "./isolating-run.ts";
import type { Decided } from "./isolation.ts";
import { diedRanges } from "./judged.ts";
import type { Payload, ReadItem } from "./payload-reader.ts";
import type { AttemptEnd } from "./settler.ts";
import type { Slot } from "./slot.ts";

/** How the bytes of a batch are had. */
export interface BatchReads {
  readonly whole: () => Payload | Promise<Payload>;
  /** Where some cannot be read; see `PayloadReader.readApart`. */
  readonly apart: () => Promise<readonly ReadItem[]>;
}

/** Whoever gets a batch whose former holder may just have died over it waits so long for the driver's judgement. */
const JUDGEMENT_MS = 1_000;
const INTERRUPTED = { kind: "interrupted" } as const;

function wasNeverBegun(held: HeldBatch, { kind }: { readonly kind: string }): boolean {
  return kind === "not_begun" && held.begun && held.unbegun + 1 >= UNBEGUN_MAX;
}

/** What cannot be read fails alone. */
function decidedBy(fault: unknown, at: number): Decided {
  return { range: [at, at + 1], end: { kind: "failed", ...inputFault(fault) } };
}

async function itemsOf({ whole, apart }: BatchReads): Promise<readonly ReadItem[]> {
  try {
    return (await whole()).items();
  } catch (error) {
    inputFault(error);
    return apart();
  }
}

export class Isolator {
  readonly #deps: WorkerDeps;
  readonly #parts: IsolatorParts;
  readonly #isolates: boolean;

  constructor(deps: WorkerDeps, parts: IsolatorParts) {
    this.#deps = deps;
    this.#parts = parts;
    this.#isolates = isolates(deps.spec);
  }

  /** Whether this batch is taken apart when it fails now. */
  takes({ message }: HeldBatch): boolean {
    return this.#isolates && message.attempt >= this.#deps.spec.attempts && message.pointer.items > 1;
  }

  /** Runs a batch that it `takes`. */
  async run(slot: Slot, held: HeldBatch, reads: BatchReads): Promise<AttemptResult> {
    const died = held.alone ? await this.#deathsOver(held) : [];
    if (died === undefined) return INTERRUPTED;
    // Workers died over it, in this attempt or in a former one: as a whole it would take this one along.
    if (died.length > 0 || held.message.alone === true) return this.#takeApart(slot, held, reads, undefined, died);
    if (held.alone && !(await markStarted(this.#parts, held))) return INTERRUPTED;
    const result = await slot.run(held, reads.whole);
    const whole = "kind" in result && wasNeverBegun(held, result) ? neverBegun(held.message) : result;
    if ("kind" in whole) return whole;
    if (blamesData(whole)) return this.#takeApart(slot, held, reads, undefined);
    return blamesItems(whole) ? this.#takeApart(slot, held, reads, whole) : whole;
  }

  /** Begins with the halves. `whole`: how all of it failed here; undefined: it did not run. */
  async #takeApart(
    slot: Slot,
    held: HeldBatch,
    reads: BatchReads,
    whole: AttemptEnd | undefined,
    died: readonly ItemRange[] = [],
  ): Promise<AttemptResult> {
    const { store, identity } = this.#deps;
    const items = await itemsOf(reads);
    const unread = items.flatMap(({ fault }, at) => (fault === undefined ? [] : [decidedBy(fault, at)]));
    if (unread.length === items.length) return unreadable(held.message, items[0]?.fault);
    const ranges = new IsolatedRanges(store, identity.api, held.message);
    const batch = { held, items, whole, ranges, known: [...(await ranges.read()), ...unread], died };
    const end = await slot.reserve(held, () => isolateOn(slot, this.#deps, this.#parts, batch));
    return end ?? INTERRUPTED;
  }

  /** Undefined: the worker leaves meanwhile. */
  async #deathsOver({ message, redelivered }: HeldBatch): Promise<ItemRange[] | undefined> {
    const { store, clock, identity } = this.#deps;
    const { leaving } = this.#parts;
    if (redelivered && message.alone === true) await clock.sleep(JUDGEMENT_MS, leaving).catch(() => undefined); // aborted: seen below
    return leaving.aborted ? undefined : diedRanges(store, identity.api, message);
  }
}
