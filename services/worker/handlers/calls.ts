/** The calls that a handler process has not answered yet, and which of them it has begun. */
import type { RunMeta } from "../../protocol/frames.ts";
import type { RunAnswer } from "./handler.ts";

export interface Call {
  readonly sequence: number;
  /** Undefined: the completion hook. */
  readonly meta: RunMeta | undefined;
  readonly begun: (() => void) | undefined;
  readonly resolve: (answer: RunAnswer) => void;
}

/** Answers overtake markers, which come by another pipe, by a few batches only. */
const ANSWERED_KEPT = 64;

/** Owns the order of calls: answers come in it, and of those that a dead process left, the begun one is to blame. */
export class Calls {
  readonly #unanswered: Call[] = [];
  /** Calls that were answered before their marker was read. */
  readonly #overtaken = new Map<number, RunMeta | undefined>();
  #marked = -1;
  #markedMeta: RunMeta | undefined;
  #answered = -1;

  /** The batch that lines printed now belong to. */
  get inWork(): RunMeta | undefined {
    return this.#markedMeta;
  }

  /** The call that must be answered next. */
  get first(): Call | undefined {
    return this.#unanswered[0];
  }

  add(call: Call): void {
    this.#unanswered.push(call);
  }

  /** The handler said that it begins `sequence`. A number that it may not say now changes nothing. */
  mark(sequence: number): void {
    if (sequence <= this.#marked) return;
    if (sequence <= this.#answered) {
      this.#marked = sequence;
      this.#markedMeta = this.#overtaken.get(sequence);
      this.#overtaken.delete(sequence);
      return;
    }
    const call = this.#unanswered.find((unanswered) => unanswered.sequence === sequence);
    if (call === undefined) return;
    this.#marked = sequence;
    this.#markedMeta = call.meta;
    call.begun?.();
  }

  /** Answers the first call. */
  answer(answer: RunAnswer): void {
    const call = this.#unanswered.shift();
    if (call === undefined) return;
    this.#answered = call.sequence;
    if (this.#marked < call.sequence) {
      this.#keepOvertaken(call);
      call.begun?.();
    }
    call.resolve(answer);
  }

  /** The sequence of the unanswered call that the handler has begun. */
  get begun(): number | undefined {
    // Where markers have stopped (user code closed the descriptors of its output), the oldest call is the best guess.
    return this.#marked < this.#answered ? this.first?.sequence : this.#marked;
  }

  /** The process is gone: the call `begun` gets `blamed`; it did or never began the others. */
  end(blamed: RunAnswer, begun: number | undefined): void {
    for (const call of this.#unanswered.splice(0)) {
      call.resolve(call.sequence === begun ? blamed : { kind: "not_begun" });
    }
  }

  #keepOvertaken(call: Call): void {
    this.#overtaken.set(call.sequence, call.meta);
    if (this.#overtaken.size <= ANSWERED_KEPT) return;
    const oldest = this.#overtaken.keys().next().value;
    if (oldest !== undefined) this.#overtaken.delete(oldest);
  }
}
