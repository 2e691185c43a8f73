/** Runs batches that may be taken apart: whole at first, then, when they fail on their last attempt, by halves. */
import { isolates } from "../protocol/jobs.ts";
import type { ItemRange } from "../protocol/ledger.ts";
import { blamesItems, neverBegun, unreadable, type AttemptResult } from "./attempt.ts";
import type { WorkerDeps } from "./context.ts";
import { UNBEGUN_MAX, type HeldBatch } from "./hand.ts";
import { IsolatedRanges } from "./isolated-ranges.ts";
import { isolateOn, markStarted, type IsolatorParts } from "./isolating-run.ts";
import { diedRanges } from "./judged.ts";
import type { Payload, PayloadItem } from "./payload-reader.ts";
import type { AttemptEnd } from "./settler.ts";
import type { Slot } from "./slot.ts";

type Read = () => Payload | Promise<Payload>;

/** Whoever gets a batch whose former holder may just have died over it waits so long for the driver's judgement. */
const JUDGEMENT_MS = 1_000;
const INTERRUPTED = { kind: "interrupted" } as const;

function wasNeverBegun(held: HeldBatch, { kind }: { readonly kind: string }): boolean {
  return kind === "not_begun" && held.begun && held.unbegun + 1 >= UNBEGUN_MAX;
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
  async run(slot: Slot, held: HeldBatch, read: Read): Promise<AttemptResult> {
    const died = held.alone ? await this.#deathsOver(held) : [];
    if (died === undefined) return INTERRUPTED;
    // Workers died over it, in this attempt or in a former one: as a whole it would take this one along.
    if (died.length > 0 || held.message.alone === true) return this.#takeApart(slot, held, read, undefined, died);
    if (held.alone && !(await markStarted(this.#parts, held))) return INTERRUPTED;
    const result = await slot.run(held, read);
    const whole = "kind" in result && wasNeverBegun(held, result) ? neverBegun(held.message) : result;
    return "kind" in whole || !blamesItems(whole) ? whole : this.#takeApart(slot, held, read, whole);
  }

  /** Begins with the halves. `whole`: how all of it failed here; undefined: it did not run. */
  async #takeApart(
    slot: Slot,
    held: HeldBatch,
    read: Read,
    whole: AttemptEnd | undefined,
    died: readonly ItemRange[] = [],
  ): Promise<AttemptResult> {
    const { store, identity } = this.#deps;
    let items: readonly PayloadItem[];
    try {
      items = (await read()).items();
    } catch (error) {
      return unreadable(held.message, error);
    }
    const ranges = new IsolatedRanges(store, identity.api, held.message);
    const batch = { held, items, whole, ranges, known: await ranges.read(), died };
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
