import type { Clock } from "../backends/clock.ts";
import { runAttempt, unreadable, type AttemptResult } from "./attempt.ts";
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
  }

  get depth(): number {
    return this.#inFlight.length;
  }

  /** False from when the handler begins nothing any more until another one is in its place. */
  get takesMore(): boolean {
    const solo = (this.#inFlight[0]?.unbegun ?? 0) > 0; // it is under suspicion: nobody else may be to blame
    return this.handler !== undefined && this.handler !== this.#spent && !solo;
  }

  /** How long the first batch in the pipe has been with the handler, milliseconds; 0 without one, or while it is read. */
  headMs(): number {
    return this.#inFlight[0]?.begun === true ? this.#clock.monotonicMs() - this.#headSinceMs : 0;
  }

  /** How long what comes to it has had to wait, milliseconds: for the batch in work, or for a handler to be up. */
  busyMs(): number {
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
      this.#inFlight.splice(this.#inFlight.indexOf(held), 1);
      this.#headSinceMs = this.#clock.monotonicMs();
    }
  }
}
