import type { Delivery } from "../backends/batch-queue.ts";
import { WORKER_EXIT } from "../protocol/exit-codes.ts";
import type { BatchMessage, CompletionTicket } from "../protocol/messages.ts";
import { complete } from "./completion.ts";
import type { WorkerDeps } from "./context.ts";
import { doubtsOf, type Doubts } from "./doubts.ts";
import { Hand, type HeldBatch } from "./hand.ts";
import { HandlerStartFailed } from "./handlers/handler.ts";
import { isJudged } from "./judged.ts";
import { LaneView, type LaneWord } from "./lane-view.ts";
import { isQueueGone, LEAVING_EXIT, leftLine, type Leaving } from "./leaving.ts";
import { PayloadReader } from "./payload-reader.ts";
import { Runner } from "./runner.ts";
import { Settler } from "./settler.ts";
import { SplitPointers } from "./split-pointers.ts";

/** One worker's life: receive, attempt, settle, until its lane, its platform or its service says otherwise. */
export class Worker {
  readonly #deps: WorkerDeps;
  readonly #leaseMs: number;
  readonly #lane: LaneView;
  readonly #hand = new Hand();
  readonly #settler: Settler;
  readonly #runner: Runner;
  readonly #doubts: Doubts;
  readonly #splits: SplitPointers;
  readonly #over = new AbortController();
  #leaving: Leaving | undefined;
  #polled = -1;
  #heldAtMs = -Infinity;
  #completing: Promise<void> | undefined;
  /** The flush that was asked for last. */
  #flushed: Promise<void> | undefined;
  /** Called when the hand has room again. */
  #roomWaiter: (() => void) | undefined;
  /** A queue that is gone went with its service or its lane; anything else is a bug, or the world broke. */
  readonly #broke = (error: unknown) => {
    this.leave(isQueueGone(error) ? { kind: "lost" } : { kind: "broken", error });
  };

  constructor(deps: WorkerDeps) {
    const { store, clock, identity, queue, pace, spec } = deps;
    this.#deps = deps;
    this.#leaseMs = queue.leaseSeconds * 1000;
    this.#lane = new LaneView(store, clock, identity, this.#leaseMs);
    this.#splits = new SplitPointers(store, identity.api, identity.job);
    const flushSeconds = Math.max(pace.flushSeconds, spec.workers * pace.flushSecondsPerWorker);
    this.#settler = new Settler({ store, queue, clock, flushMs: flushSeconds * 1000 }, identity);
    this.#doubts = doubtsOf(deps, this.#settler, flushSeconds, {
      stoodDown: () => this.#lane.stoodDown,
      isIdle: () => this.#runner.isIdle,
      goOn: () => {
        this.#runner.goOn();
        this.#onSettled();
      },
      onSick: (why) => { this.leave({ kind: "sick", why }); }, // prettier-ignore
    });
    this.#runner = new Runner(deps, {
      hand: this.#hand,
      reader: new PayloadReader(store, deps.dataset),
      settler: this.#settler,
      doubts: this.#doubts,
      onSettled: () => {
        this.#onSettled();
      },
      onSick: (error) => {
        this.#startFailed(error);
      },
      onBroken: this.#broke,
      mayStart: () => this.#mayStart(),
    });
  }

  /** Lives until it has to leave; answers the process's exit code. Throws what broke. */
  async run(): Promise<number> {
    if ((await this.#readLane()) !== "work") return WORKER_EXIT.done;
    if (await this.#startHandlers()) {
      const loops = [
        this.#watchLane(),
        this.#renew(this.#over.signal),
        this.#receive(),
        this.#runner.watch(this.#over.signal),
        this.#doubts.watch(this.#over.signal),
      ];
      await Promise.all(loops.map((loop) => this.#guard(loop)));
    }
    return this.#finish();
  }

  /** Asks it to leave; the first reason counts. */
  leave(why: Leaving): void {
    if (this.#leaving !== undefined) return;
    this.#leaving = why;
    this.#over.abort();
    this.#roomWaiter?.();
  }

  async #guard(loop: Promise<void>): Promise<void> {
    try {
      await loop;
    } catch (error) {
      if (!this.#over.signal.aborted) this.#broke(error);
      else if (this.#leaving?.kind !== "broken" && !isQueueGone(error) && error !== this.#over.signal.reason)
        throw error;
    }
  }

  async #startHandlers(): Promise<boolean> {
    try {
      const ready = await this.#runner.start(this.#over.signal);
      if (ready === undefined) return false;
      this.#settler.note({ t: "ready", hook: ready.hook });
      await this.#settler.flush();
      return true;
    } catch (error) {
      if (!(error instanceof HandlerStartFailed)) throw error;
      this.#startFailed(error);
      return false;
    }
  }

  #startFailed(error: HandlerStartFailed): void {
    this.#deps.say(`the handler could not start: ${error.message}`);
    this.#settler.note({ t: "start_failed", error: error.message, traceback: error.traceback });
    this.leave({ kind: "sick" });
  }

  async #readLane(): Promise<LaneWord> {
    const word = await this.#lane.read();
    const isEmptyHanded = this.#hand.size === 0 && this.#completing === undefined;
    if (word === "abort") this.leave({ kind: "stop" });
    else if (word === "leave" && isEmptyHanded) this.leave({ kind: "excess" });
    return word;
  }

  #mayStart(): boolean | Promise<boolean> {
    if (this.#lane.ageMs() <= this.#leaseMs) return !this.#over.signal.aborted;
    return this.#readLane().then(() => !this.#over.signal.aborted);
  }

  async #watchLane(): Promise<void> {
    const { clock, pace } = this.#deps;
    for (;;) {
      await clock.sleep(pace.laneReadSeconds * 1000, this.#over.signal);
      await this.#readLane();
      const total = await this.#splits.newTotal();
      if (total !== undefined) this.#runner.tellTotalBatches(total);
    }
  }

  /** Three times in each lease: renews what is held, and gives a sign of life. */
  async #renew(signal: AbortSignal): Promise<void> {
    const { clock, queue, identity } = this.#deps;
    for (;;) {
      await clock.sleep(this.#leaseMs / 3, signal);
      const receipts = this.#hand.receipts();
      // A lost lease aborts nothing: the ledger counts each batch once.
      if (receipts.length > 0) await queue.extend(identity.queueLane, receipts);
      if (clock.monotonicMs() - this.#heldAtMs >= this.#leaseMs / 2) this.#sayHeld();
    }
  }

  #sayHeld(): void {
    this.#hand.takeChange();
    this.#heldAtMs = this.#deps.clock.monotonicMs();
    this.#settler.note(this.#hand.line(this.#polled));
    this.#flushSoon();
  }

  #flushSoon(): void {
    const flushed = this.#runner.isIdle ? this.#settler.flush() : this.#settler.flushSoon();
    if (flushed === this.#flushed) return; // it is under way, and heard already
    this.#flushed = flushed;
    flushed.catch(this.#broke);
  }

  async #receive(): Promise<void> {
    const { queue, identity, pace } = this.#deps;
    while (!this.#over.signal.aborted) {
      const room = Math.max(this.#lane.hand, this.#deps.processes) + this.#doubts.size - this.#hand.size;
      if (room < 1 || this.#runner.runsLong || this.#hand.waiting > this.#hand.size / 2 + this.#deps.processes) {
        await this.#room();
        continue;
      }
      if (this.#lane.ageMs() > this.#leaseMs) await this.#readLane();
      const { beat } = this.#lane;
      const deliveries = await queue.receive(identity.queueLane, { messagesMax: room, waitSeconds: pace.pollSeconds });
      if (deliveries.length === 0) this.#polled = beat;
      await this.#accept(deliveries);
    }
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#roomWaiter = resolve;
    });
  }

  #onSettled(): void {
    this.#flushSoon();
    this.#roomWaiter?.();
  }

  /** Sorts what came: pointers of this epoch are run, older ones dropped; a newer one says that this worker is a zombie. */
  async #accept(deliveries: readonly Delivery[]): Promise<void> {
    const { identity, queue } = this.#deps;
    const dropped: string[] = [];
    const returned: string[] = [];
    const taken: HeldBatch[] = [];
    for (const delivery of deliveries) {
      const { message, receipt } = delivery;
      const sent = await this.#lane.sent(message);
      if (sent === "before") dropped.push(receipt);
      else if (sent === "after" || this.#over.signal.aborted) returned.push(receipt);
      else if (message.kind === "completion") this.#complete(message, receipt);
      else if (await this.#isDone(message, delivery.deliveries)) dropped.push(receipt);
      else taken.push(this.#take(await this.#splits.complete(message), delivery));
      if (sent === "after") this.leave({ kind: "zombie" });
    }
    if (dropped.length > 0) await queue.ack(identity.queueLane, dropped);
    if (returned.length > 0) await queue.release(identity.queueLane, returned);
    if (this.#hand.takeChange()) this.#sayHeld();
    this.#runner.took(taken);
  }

  #take(message: BatchMessage, delivery: Delivery): HeldBatch {
    return this.#hand.take({ ...delivery, message }, message.alone === true || delivery.deliveries > 1);
  }

  /** Held here already, or judged: a copy that has no use. */
  async #isDone(message: BatchMessage, deliveries: number): Promise<boolean> {
    if (this.#hand.holds(message.batch)) return true;
    const { store, identity } = this.#deps;
    return deliveries > 1 && (await isJudged(store, identity.api, message));
  }

  #complete({ opening }: CompletionTicket, receipt: string): void {
    const { queue, identity } = this.#deps;
    const run = async () => {
      // While no handler is up the ticket stays, and comes again when its lease ends.
      const used = await this.#runner.withIdleHandler((handler) => complete(this.#deps, opening, handler));
      if (used === true) await queue.ack(identity.queueLane, [receipt]);
    };
    this.#completing ??= run()
      .catch(this.#broke)
      .finally(() => {
        this.#completing = undefined;
      });
  }

  /** Lets end what the handlers have begun, unless a stop comes: pools ask the workers of a stopped job to leave like others. */
  async #drain(): Promise<void> {
    const { clock, pace } = this.#deps;
    const over = new AbortController();
    const drained = this.#runner.drain(pace.drainSeconds * 1000).finally(() => {
      over.abort();
    });
    // What the handlers have is held on to; a renewal that fails costs no more than a second run.
    this.#renew(over.signal).catch(() => undefined);
    while (!over.signal.aborted && (await this.#lane.read()) !== "abort") {
      await clock.sleep(pace.laneReadSeconds * 1000, over.signal).catch(() => undefined); // aborted: all have ended
    }
    await this.#runner.abort();
    await drained;
  }

  /** Hands back what is held, says goodbye, ends the handlers. */
  async #finish(): Promise<number> {
    const why = this.#leaving ?? { kind: "excess" };
    if (why.kind === "broken") {
      await this.#runner.close();
      throw why.error;
    }
    if (why.kind === "drain") await this.#drain();
    await this.#runner.abort();
    await this.#completing;
    if (this.#doubts.giveUp()) await this.#writeDown(why.kind === "lost", []);
    const left = this.#hand.takeAll();
    if (left.length > 0) {
      this.#settler.note({ t: "handed_back", batches: left.map(({ message }) => message.batch) });
    }
    this.#settler.note(leftLine(why));
    await this.#writeDown(why.kind === "lost", left);
    await this.#runner.close();
    return LEAVING_EXIT[why.kind];
  }

  /** First all that was done is durable; then the queue, if it still is there, gets back the rest. */
  async #writeDown(isQueueLost: boolean, left: readonly HeldBatch[]): Promise<void> {
    const { queue, identity } = this.#deps;
    if (isQueueLost) return this.#settler.flushUnacked();
    try {
      await this.#settler.flush();
      if (left.length > 0) await queue.release(identity.queueLane, left.map(({ receipt }) => receipt)); // prettier-ignore
    } catch (error) {
      if (!isQueueGone(error)) throw error;
      await this.#settler.flushUnacked();
    }
  }
}
