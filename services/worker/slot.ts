import type { Clock } from "../backends/clock.ts";
import { runAttempt, unreadable, type AttemptResult, type ItemsRun } from "./attempt.ts";
import type { HeldBatch } from "./hand.ts";
import type { Handler } from "./handlers/handler.ts";
import type { Payload } from "./payload-reader.ts";

/** One handler process with the batches in its pipe, the first of which it works on. */
export class Slot {
  readonly index: number;
  readonly #clock: Clock;
  readonly #inFlight: HeldBatch[] = [];
  #handler: Handler | undefined;
  #withoutSinceMs: number;
  /** A handler that began nothing any more: its process is on its way out. */
  #spent: Handler | undefined;
  /** Since when the first one in the pipe has had the handler to itself. */
  #headSinceMs = 0;
  /** Of what runs in a reservation: how long it may, milliseconds. */
  #limitMs: number | undefined;
  #reservations = 0;
  #lastReservation: Promise<void> = Promise.resolve();
  #reservedSinceMs: number | undefined;
  #closed = false;
  /** Called when the pipe is empty, and when a handler is up (or never will be). */
  #onEmpty: (() => void) | undefined;
  #onHandler: ((handler: Handler | undefined) => void) | undefined;

  constructor(index: number, clock: Clock) {
    this.index = index;
    this.#clock = clock;
    this.#withoutSinceMs = clock.monotonicMs();
  }

  /** Undefined while none is up. */
  get handler(): Handler | undefined {
    return this.#handler;
  }

  set handler(handler: Handler | undefined) {
    if (handler === undefined) this.#withoutSinceMs = this.#clock.monotonicMs();
    this.#handler = handler;
    if (handler !== undefined) this.#onHandler?.(handler);
  }

  /** No handler starts any more. */
  close(): void {
    this.#closed = true;
    this.#onHandler?.(undefined);
  }

  get depth(): number {
    return this.#inFlight.length;
  }

  /** False from when the handler begins nothing any more until another one is in its place. */
  get takesMore(): boolean {
    const solo = (this.#inFlight[0]?.unbegun ?? 0) > 0; // it is under suspicion: nobody else may be to blame
    return this.handler !== undefined && this.handler !== this.#spent && !solo && this.#reservations === 0;
  }

  /** How long the first batch in the pipe has been with the handler, milliseconds; 0 without one, or while it is read. */
  headMs(): number {
    return this.#inFlight[0]?.begun === true ? this.#clock.monotonicMs() - this.#headSinceMs : 0;
  }

  /**
   * Ends a handler whose work has had its time: so many milliseconds, unless it was given a time of its own. That in which this
   * process stood still is nobody's: the answer may have come meanwhile, or the handler was frozen as well.
   */
  endOverdue(milliseconds: number, stoodStillMs: number): void {
    this.#headSinceMs = Math.min(this.#headSinceMs + stoodStillMs, this.#clock.monotonicMs());
    if (this.headMs() > (this.#limitMs ?? milliseconds)) this.handler?.kill("timed_out");
  }

  /** How long what comes to it has had to wait, milliseconds: for the batch in work, or for a handler to be up. */
  busyMs(): number {
    if (this.#reservedSinceMs !== undefined) return this.#clock.monotonicMs() - this.#reservedSinceMs;
    return this.#handler === undefined ? this.#clock.monotonicMs() - this.#withoutSinceMs : this.headMs();
  }

  /** Puts a batch into the pipe, whose payload is `read` there; resolves when its attempt has ended. Never rejects but for errors of this program. */
  async run(held: HeldBatch, read: () => Payload | Promise<Payload>): Promise<AttemptResult> {
    this.#inFlight.push(held);
    try {
      let payload: Payload;
      try {
        const reading = read();
        payload = reading instanceof Promise ? await reading : reading;
      } catch (error) {
        return unreadable(held.message, error);
      }
      const { handler } = this;
      if (handler === undefined) return { kind: "not_begun" };
      if (this.#inFlight[0] === held) this.#headSinceMs = this.#clock.monotonicMs();
      held.begun = true;
      const result = await runAttempt(held.message, payload, handler, () => this.headMs() / 1000);
      // Else the batch would go to it again and again, and nobody else would have a turn until its process is gone.
      if ("kind" in result) this.#spent = handler;
      return result;
    } finally {
      this.#leave(held);
    }
  }

  /** Keeps the handler for one batch: what is in the pipe ends first, and nothing else comes. Who asks later waits for the former. */
  async reserve<T>(held: HeldBatch, use: () => Promise<T>): Promise<T> {
    const before = this.#lastReservation;
    let release: () => void = () => undefined;
    this.#lastReservation = new Promise((resolve) => (release = resolve));
    this.#reservations += 1;
    try {
      await before;
      if (this.#inFlight.length > 0) await new Promise<void>((resolve) => (this.#onEmpty = resolve));
      this.#reservedSinceMs = this.#clock.monotonicMs();
      this.#inFlight.push(held);
      return await use();
    } finally {
      this.#leave(held);
      this.#reservedSinceMs = undefined;
      this.#reservations -= 1;
      release();
    }
  }

  /**
   * Runs something of the batch that has the reservation, on a handler that is up, for so many milliseconds at most;
   * undefined: the worker leaves, and none will be.
   */
  async runReserved(
    held: HeldBatch,
    limitMs: number | undefined,
    run: (handler: Handler) => Promise<ItemsRun>,
  ): Promise<{ readonly run: ItemsRun; readonly seconds: number } | undefined> {
    const handler = await this.#living();
    if (handler === undefined) return undefined;
    this.#limitMs = limitMs;
    this.#headSinceMs = this.#clock.monotonicMs();
    held.begun = true;
    try {
      const answered = await run(handler);
      if (answered.answer.kind === "not_begun") this.#spent = handler;
      return { run: answered, seconds: this.headMs() / 1000 };
    } finally {
      held.begun = false;
      this.#limitMs = undefined;
    }
  }

  async #living(): Promise<Handler | undefined> {
    if (this.#closed) return undefined;
    if (this.handler !== undefined && this.handler !== this.#spent) return this.handler;
    return new Promise((resolve) => {
      this.#onHandler = (handler) => {
        this.#onHandler = undefined;
        resolve(handler);
      };
    });
  }

  #leave(held: HeldBatch): void {
    const at = this.#inFlight.indexOf(held);
    if (at >= 0) this.#inFlight.splice(at, 1);
    this.#headSinceMs = this.#clock.monotonicMs();
    if (this.#inFlight.length > 0) return;
    this.#onEmpty?.();
    this.#onEmpty = undefined;
  }
}
