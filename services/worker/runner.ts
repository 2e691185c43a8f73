import { neverBegun, type AttemptResult } from "./attempt.ts";
import type { WorkerDeps } from "./context.ts";
import type { Doubts } from "./doubts.ts";
import { UNBEGUN_MAX, type Hand, type HeldBatch } from "./hand.ts";
import { HandlerStartFailed, type Handler, type Ready } from "./handlers/handler.ts";
import { Isolator } from "./isolator.ts";
import type { PayloadReader } from "./payload-reader.ts";
import { watchMemory } from "./memory-watch.ts";
import { pipeDepth } from "./pipe-depth.ts";
import type { AttemptEnd, Settler } from "./settler.ts";
import { Slot } from "./slot.ts";
import { sleepAndTell } from "./stood-still.ts";

export interface RunnerParts {
  readonly hand: Hand;
  readonly reader: PayloadReader;
  readonly settler: Settler;
  readonly doubts: Pick<Doubts, "ended" | "mayBegin">;
  /** A batch has been settled (not yet flushed), or handed back, or a handler is up again: there may be room for more. */
  readonly onSettled: () => void;
  /** The handler cannot be started any more. */
  readonly onSick: (error: HandlerStartFailed) => void;
  readonly onBroken: (error: unknown) => void;
  /** False: the lane record that allowed this is gone. */
  readonly mayStart: () => boolean | Promise<boolean>;
}

/** Nothing waits behind a batch that has run so long: it is handed back. */
const LONG_BATCH_MS = 5_000;
/** How often running batches are looked at for their timeout, unless the pace says otherwise. */
const LOOK_SECONDS = 0.1;
/** Starts of a handler in a row that came to nothing. */
const STARTS_MAX = 3;

/** Keeps the handler processes busy: fills their pipes from the hand, settles what comes out, replaces those that die. */
export class Runner {
  readonly #deps: WorkerDeps;
  readonly #parts: RunnerParts;
  readonly #slots: Slot[];
  readonly #isolator: Isolator;
  readonly #running = new Set<Promise<void>>();
  #aloneRuns = false;
  readonly #leaving = new AbortController();
  #dispatching = false;
  /** Something changed since the pipes were last filled. */
  #dispatchAgain = false;
  /** Moving mean of a batch's milliseconds in its handler; undefined before the first. */
  #meanMs: number | undefined;
  #startsFailed = 0;
  #totalBatches: number | undefined;

  constructor(deps: WorkerDeps, parts: RunnerParts) {
    this.#deps = deps;
    this.#parts = parts;
    this.#slots = Array.from({ length: deps.processes }, (_, index) => new Slot(index, deps.clock));
    const mayGoOn = () => !this.#stopped && parts.mayStart();
    this.#isolator = new Isolator(deps, { settler: parts.settler, mayGoOn, leaving: this.#leaving.signal });
  }

  /** Starts all handler processes; undefined when the signal aborts before they are up. Throws `HandlerStartFailed` when one cannot. */
  async start(signal: AbortSignal): Promise<Ready | undefined> {
    const aborted = new Promise<undefined>((resolve) => {
      if (signal.aborted) resolve(undefined);
      signal.addEventListener("abort", () => { resolve(undefined); }, { once: true }); // prettier-ignore
    });
    const started = await Promise.race([Promise.all(this.#slots.map((slot) => this.#startSlot(slot))), aborted]);
    return started && { hook: started.some(({ hook }) => hook) };
  }

  /** Pointers came into the hand. */
  took(batches: readonly HeldBatch[]): void {
    if (batches.length === 0) return;
    this.#parts.reader.group(batches);
    this.#dispatch();
  }

  /** More may begin than before. */
  goOn(): void {
    this.#dispatch();
  }

  tellTotalBatches(batches: number): void {
    this.#totalBatches = batches;
    for (const { handler } of this.#slots) handler?.tellTotalBatches(batches);
  }

  /** Ends batches whose time is up and handlers that fill the memory, hands back what waits behind long ones. Until the signal aborts. */
  async watch(signal: AbortSignal): Promise<void> {
    const handlers = () => this.#slots.flatMap(({ handler }) => handler ?? []);
    await Promise.all([watchMemory(this.#deps, handlers, signal), this.#watchTimes(signal)]);
  }

  async #watchTimes(signal: AbortSignal): Promise<void> {
    const { clock, spec, pace } = this.#deps;
    for (;;) {
      const stoodStillMs = await sleepAndTell(clock, (pace.lookSeconds ?? LOOK_SECONDS) * 1000, signal);
      const timeoutMs = (spec.batch_timeout_seconds ?? Infinity) * 1000;
      for (const slot of this.#slots) slot.endOverdue(timeoutMs, stoodStillMs);
      if (this.runsLong) await this.#handBackWaiting();
    }
  }

  /** Runs something on a handler that has nothing in its pipe; undefined when none is up. */
  async withIdleHandler<T>(use: (handler: Handler) => Promise<T>): Promise<T | undefined> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
    const handler = this.#slots.find((slot) => slot.handler !== undefined)?.handler;
    return handler === undefined ? undefined : use(handler);
  }

  /** Takes no more; waits for what the handlers have, so long at most. */
  async drain(milliseconds: number): Promise<void> {
    this.#stop();
    const early = new AbortController();
    const grace = this.#deps.clock.sleep(milliseconds, early.signal).catch(() => undefined); // aborted: all have ended
    await Promise.race([Promise.allSettled(this.#running), grace]);
    early.abort();
  }

  /** Ends what runs; it stays in the hand. */
  async abort(): Promise<void> {
    this.#stop();
    for (const slot of this.#slots) if (slot.depth > 0) slot.handler?.kill("aborted");
    await Promise.allSettled(this.#running);
  }

  async close(): Promise<void> {
    this.#stop();
    await Promise.all(this.#slots.flatMap(({ handler }) => handler?.close() ?? []));
  }

  get #stopped(): boolean {
    return this.#leaving.signal.aborted;
  }

  #stop(): void {
    this.#leaving.abort();
    for (const slot of this.#slots) slot.close();
  }

  async #startSlot(slot: Slot): Promise<Ready> {
    const { handler, ready } = await this.#deps.startHandler(slot.index);
    slot.handler = handler;
    if (this.#stopped) void handler.close(); // it came up too late: nobody waits for it any more
    if (this.#totalBatches !== undefined) handler.tellTotalBatches(this.#totalBatches);
    void handler.ended.then(() => {
      if (slot.handler === handler) slot.handler = undefined;
      if (!this.#stopped) this.#restart(slot);
    });
    return ready;
  }

  /** A handler that ended is replaced; one that cannot be started again makes the worker sick. */
  #restart(slot: Slot): void {
    this.#startSlot(slot).then(
      () => {
        this.#dispatch();
        this.#parts.onSettled();
      },
      (error: unknown) => {
        if (this.#stopped) return;
        if (!(error instanceof HandlerStartFailed)) this.#parts.onBroken(error);
        else if ((this.#startsFailed += 1) >= STARTS_MAX) this.#parts.onSick(error);
        else this.#restart(slot);
      },
    );
  }

  #dispatch(): void {
    this.#dispatchAgain = true;
    if (this.#dispatching || this.#stopped) return;
    this.#dispatching = true;
    this.#fillWhileAsked().catch(this.#parts.onBroken);
  }

  async #fillWhileAsked(): Promise<void> {
    try {
      while (this.#dispatchAgain && !this.#stopped) {
        this.#dispatchAgain = false;
        await this.#fill();
      }
    } finally {
      this.#dispatching = false; // at once: who asks from now on begins anew
    }
  }

  async #fill(): Promise<void> {
    const { hand } = this.#parts;
    for (let held = hand.peek(); held !== undefined; held = hand.peek()) {
      if (this.#aloneRuns || (held.alone && this.#running.size > 0)) return;
      const slot = this.#slotWithRoom();
      if (slot === undefined || (held.unbegun > 0 && slot.depth > 0)) break;
      if (!this.#parts.doubts.mayBegin(this.#running.size)) break;
      const may = this.#parts.mayStart();
      if (!(typeof may === "boolean" ? may : await may)) break;
      if (this.#stopped) return;
      if (hand.peek() !== held) continue; // what was put back meanwhile comes first
      hand.next();
      this.#aloneRuns = held.alone;
      if (held.alone && !this.#isolator.takes(held) && !(await this.#markStarted(held))) return;
      this.#launch(slot, held);
    }
    this.#readAhead();
  }

  /** The emptiest pipe that takes one more: short batches are piped, so that the handler never waits for the next one. */
  #slotWithRoom(): Slot | undefined {
    const depthMax = pipeDepth(this.#meanMs);
    let best: Slot | undefined;
    for (const slot of this.#slots) {
      if (slot.takesMore && slot.depth < (best?.depth ?? depthMax)) best = slot;
    }
    return best;
  }

  /** False: it may begin no more. */
  async #markStarted(held: HeldBatch): Promise<boolean> {
    const { batch, attempt } = held.message;
    this.#parts.settler.note({ t: "started", batch, attempt });
    await this.#parts.settler.flush();
    return !this.#stopped;
  }

  #launch(slot: Slot, held: HeldBatch): void {
    const running: Promise<void> = this.#runOn(slot, held).then(() => {
      this.#running.delete(running);
      if (held.alone) this.#aloneRuns = false;
      this.#parts.onSettled();
      this.#dispatch();
    });
    this.#running.add(running);
  }

  /** Never rejects. */
  async #runOn(slot: Slot, held: HeldBatch): Promise<void> {
    try {
      const { reader } = this.#parts;
      const reads = { whole: () => reader.read(held), apart: () => reader.readApart(held) };
      const apart = this.#isolator.takes(held);
      const result = await (apart ? this.#isolator.run(slot, held, reads) : slot.run(held, reads.whole));
      this.#onResult(held, result);
    } catch (error) {
      this.#parts.onBroken(error);
    }
  }

  #onResult(held: HeldBatch, result: AttemptResult): void {
    const { hand } = this.#parts;
    if ("kind" in result) {
      if (held.begun && !this.#stopped && result.kind === "not_begun") held.unbegun += 1;
      if (held.unbegun < UNBEGUN_MAX) hand.putBack(held);
      else this.#settle(held, neverBegun(held.message));
      return;
    }
    if (this.#stopped && result.line.cause === "aborted") {
      hand.putBack(held);
      return;
    }
    this.#startsFailed = 0;
    this.#settle(held, result);
  }

  #settle(held: HeldBatch, result: AttemptEnd): void {
    const { hand, settler, doubts, onSettled } = this.#parts;
    const ms = result.line.seconds * 1000;
    this.#meanMs = this.#meanMs === undefined ? ms : this.#meanMs * 0.9 + ms * 0.1;
    doubts.ended(result, () => {
      settler.settle(result, held.receipt, () => {
        hand.drop(held);
        onSettled();
      });
    });
  }

  /** Every handler process has had its batch for long, or is not up: whatever came now would wait. */
  get runsLong(): boolean {
    return this.#slots.every((slot) => slot.busyMs() > LONG_BATCH_MS);
  }

  /** Nothing runs and nothing waits. */
  get isIdle(): boolean {
    return this.#running.size === 0 && this.#parts.hand.waiting === 0;
  }

  /** Reads the bytes of what comes next while the handlers work. */
  #readAhead(): void {
    const first = this.#parts.hand.peek();
    if (first !== undefined) this.#parts.reader.readAhead(first, this.#slots.length * (pipeDepth(this.#meanMs) + 1));
  }

  async #handBackWaiting(): Promise<void> {
    const { hand, settler } = this.#parts;
    const waiting = hand.takeWaiting();
    if (waiting.length === 0) return;
    settler.note({ t: "handed_back", batches: waiting.map(({ message }) => message.batch) });
    await settler.flush();
    // Out of the hand first: a poll of ours may get them back at once, and must not take them for copies of what is held.
    for (const held of waiting) hand.drop(held);
    await this.#deps.queue.release(this.#deps.identity.queueLane, waiting.map(({ receipt }) => receipt)); // prettier-ignore
  }
}
