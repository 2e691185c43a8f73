/** Virtual time: what is to happen, in order. Nothing happens between two events; what an event wakes runs to its end. */
interface Planned {
  readonly atMs: number;
  readonly order: number;
  readonly happen: () => void;
}

/** After so many events the real loop has a turn: errors that nobody hears are told then, and memory is collected. */
const EVENTS_PER_TURN = 64;

export class Timeline {
  nowMs = 0;
  /** Events that have happened. */
  events = 0;
  /** Of the times of all events: two runs that differ anywhere differ here. */
  hash = 0x811c9dc5;
  #order = 0;
  /** A binary heap by time, then by the order of planning. */
  readonly #planned: Planned[] = [];
  readonly #eventsPerTurn: number;

  /** `exact`: an error that nobody hears is noticed in the event that it happens in, for a third of the speed. */
  constructor(exact = true) {
    this.#eventsPerTurn = exact ? 1 : EVENTS_PER_TURN;
  }

  after(milliseconds: number, happen: () => void): void {
    const planned = { atMs: milliseconds > 0 ? this.nowMs + milliseconds : this.nowMs, order: this.#order++, happen };
    this.#planned.push(planned);
    this.#rise(planned, this.#planned.length - 1);
  }

  /** Lets one thing after the other happen, each with all that follows from it without more time, until `isOver` or nothing is left. */
  run(isOver: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      let events = 0;
      const turn = () => {
        try {
          const next = isOver() ? undefined : this.#take();
          if (next === undefined) {
            resolve();
            return;
          }
          this.#happen(next);
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
          return;
        }
        events += 1;
        if (events % this.#eventsPerTurn === 0) setImmediate(turn);
        else queueMicrotask(afterMicrotasks);
      };
      // A tick begins only after the last promise that can settle without an event has settled.
      const afterMicrotasks = () => {
        process.nextTick(turn);
      };
      turn();
    });
  }

  #happen(next: Planned): void {
    this.nowMs = next.atMs;
    this.events += 1;
    this.hash = Math.imul(this.hash ^ Math.round(next.atMs * 1000), 0x01000193);
    next.happen();
  }

  #take(): Planned | undefined {
    const heap = this.#planned;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || first === last) return first;
    this.#sink(last);
    return first;
  }

  /** Puts it where it belongs, from a place at the end upwards. */
  #rise(planned: Planned, from: number): void {
    const heap = this.#planned;
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = heap[above];
      if (other === undefined || !isBefore(planned, other)) break;
      heap[at] = other;
      at = above;
    }
    heap[at] = planned;
  }

  /** Puts it where it belongs, from the top downwards. */
  #sink(planned: Planned): void {
    const heap = this.#planned;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const a = heap[left];
      const b = heap[left + 1];
      if (a === undefined) break;
      const [below, other] = b !== undefined && isBefore(b, a) ? [left + 1, b] : [left, a];
      if (!isBefore(other, planned)) break;
      heap[at] = other;
      at = below;
    }
    heap[at] = planned;
  }
}

function isBefore(a: Planned, b: Planned): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
