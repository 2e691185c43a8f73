import type { BatchQueue } from "../backends/batch-queue.ts";
import type { Clock } from "../backends/clock.ts";
import type { ObjectStore } from "../backends/object-store.ts";
import type { AttemptErrors } from "../protocol/errors.ts";
import { jobKeys } from "../protocol/keys.ts";
import type { LedgerLine, OutcomeLine } from "../protocol/ledger.ts";
import type { WorkerIdentity } from "./context.ts";
import { LedgerWriter } from "./ledger-writer.ts";
import { PartWriter } from "./part-writer.ts";

/** One attempt's end, before it is written down. */
export interface AttemptEnd {
  readonly line: Omit<OutcomeLine, "rows" | "errors" | "t">;
  /** Managed rows, or null when the handler returned nothing. */
  readonly rows: { readonly bytes: Buffer; readonly count: number } | null;
  readonly errors: readonly AttemptErrors[];
}

/**
 * Writes down what was done, in groups: results durable, then ledger durable, then ack. The order is the promise: what was
 * acked is counted, what is counted has its rows.
 */
export class Settler {
  readonly #queue: BatchQueue;
  readonly #lane: string;
  readonly #clock: Clock;
  readonly #flushMs: number;
  readonly #ledger: LedgerWriter;
  readonly #results: PartWriter;
  readonly #errors: PartWriter;
  #acks: string[] = [];
  #onAcked: (() => void)[] = [];
  /** Counts what was handed in, and how much of it is durable and acked. */
  #noted = 0;
  #flushed = 0;
  #flushing: Promise<void> | undefined;
  #waiting: AbortController | undefined;
  #hurry = false;
  #queueGone = false;
  #lastFlushMs = -Infinity;

  constructor(
    deps: { readonly store: ObjectStore; readonly queue: BatchQueue; readonly clock: Clock; readonly flushMs: number },
    identity: WorkerIdentity,
  ) {
    const { store } = deps;
    const { api, job, name } = identity;
    const keys = jobKeys(api, job);
    this.#queue = deps.queue;
    this.#clock = deps.clock;
    this.#flushMs = deps.flushMs;
    this.#lane = identity.queueLane;
    this.#ledger = new LedgerWriter(store, api, job, name);
    this.#results = new PartWriter(store, "results", (part) => keys.results(name, part));
    this.#errors = new PartWriter(store, "errors", (part) => keys.errors(name, part));
  }

  /** An attempt has ended: its delivery is acked once that is durable, and `onAcked` called. */
  settle(end: AttemptEnd, receipt: string, onAcked: () => void): void {
    const rows = end.rows === null ? undefined : this.#results.add(end.rows.bytes, end.rows.count);
    const errors = end.errors.length === 0 ? undefined : this.#addErrors(end.errors);
    this.#ledger.add({ t: "outcome", ...end.line, ...(rows && { rows }), ...(errors && { errors }) });
    this.#acks.push(receipt);
    this.#onAcked.push(onAcked);
    this.#noted += 1;
  }

  /** A line that waits for the next flush. */
  note(line: LedgerLine): void {
    this.#ledger.add(line);
    this.#noted += 1;
  }

  /** Flushes all there is, not more often than the pace says. Rejects with what broke. */
  flushSoon(): Promise<void> {
    // Without anything to do it would end, and clear the field, before its promise gets there.
    if (this.#flushing === undefined && this.#flushed === this.#noted) return Promise.resolve();
    return (this.#flushing ??= this.#flushWhileDirty());
  }

  /** Everything that was handed in before this call is durable, and acked, when it resolves. */
  async flush(): Promise<void> {
    const target = this.#noted;
    this.#hurry = true;
    this.#waiting?.abort();
    while (this.#flushed < target) await this.flushSoon();
  }

  /** As `flush`, when the queue is gone: nothing is acked, also not by a flush under way; what is written counts all the same. */
  async flushUnacked(): Promise<void> {
    this.#queueGone = true;
    await this.flush();
  }

  async #flushWhileDirty(): Promise<void> {
    try {
      while (this.#flushed < this.#noted) {
        await this.#awaitTurn();
        await this.#flushNow();
      }
    } finally {
      this.#flushing = undefined;
    }
  }

  async #awaitTurn(): Promise<void> {
    const waitMs = this.#lastFlushMs + this.#flushMs - this.#clock.monotonicMs();
    if (waitMs <= 0 || this.#hurry) return;
    this.#waiting = new AbortController();
    await this.#clock.sleep(waitMs, this.#waiting.signal).catch(() => undefined); // aborted: somebody is in a hurry
    this.#waiting = undefined;
  }

  async #flushNow(): Promise<void> {
    this.#lastFlushMs = this.#clock.monotonicMs();
    this.#hurry = false;
    const noted = this.#noted;
    const acks = this.#acks;
    const onAcked = this.#onAcked;
    this.#acks = [];
    this.#onAcked = [];
    // The lines of this group are taken now: what is handed in while the results are written belongs to the next one.
    const ledger = this.#ledger.take();
    const sealed = await Promise.all([this.#results.flush(), this.#errors.flush()]);
    await this.#ledger.append(ledger, sealed);
    await this.#ack(acks);
    this.#flushed = noted;
    for (const acked of onAcked) acked();
  }

  async #ack(receipts: readonly string[]): Promise<void> {
    if (receipts.length === 0 || this.#queueGone) return;
    await this.#queue.ack(this.#lane, receipts).catch((error: unknown) => {
      if (!this.#queueGone) throw error; // else the worker learned meanwhile that nobody is there to hear of it
    });
  }

  #addErrors(errors: readonly AttemptErrors[]) {
    const text = errors.map((error) => `${JSON.stringify(error)}\n`).join("");
    return this.#errors.add(Buffer.from(text), errors.length);
  }
}
