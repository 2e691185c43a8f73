/** Virtual time: what is to happen, in order. Nothing happens between two events; what an event wakes runs to its end. */
interface Planned {
  readonly atMs: number;
  readonly order: number;
  readonly happen: () => void;
}

export class Timeline {
  nowMs = 0;
  /** Events that have happened. */
  events = 0;
  #order = 0;
  /** A binary heap by time, then by the order of planning. */
  readonly #planned: Planned[] = [];

  after(milliseconds: number, happen: () => void): void {
    const planned = { atMs: this.nowMs + Math.max(0, milliseconds), order: (this.#order += 1), happen };
    this.#planned.push(planned);
    this.#rise(this.#planned.length - 1);
  }

  /** Lets the next thing happen, and all that follows from it without more time; false when nothing is planned. */
  async step(): Promise<boolean> {
    const next = this.#take();
    if (next === undefined) return false;
    this.nowMs = next.atMs;
    this.events += 1;
    next.happen();
    await settled();
    return true;
  }

  #take(): Planned | undefined {
    const first = this.#planned[0];
    const last = this.#planned.pop();
    if (first === undefined || last === undefined || first === last) return first;
    this.#planned[0] = last;
    this.#sink();
    return first;
  }

  #rise(from: number): void {
    const heap = this.#planned;
    let at = from;
    for (;;) {
      const above = (at - 1) >> 1;
      const one = heap[at];
      const other = heap[above];
      if (at === 0 || one === undefined || other === undefined || !isBefore(one, other)) return;
      heap[at] = other;
      heap[above] = one;
      at = above;
    }
  }

  #sink(): void {
    const heap = this.#planned;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const [one, a, b] = [heap[at], heap[left], heap[left + 1]];
      if (one === undefined || a === undefined) return;
      const below = b !== undefined && isBefore(b, a) ? left + 1 : left;
      const other = heap[below];
      if (other === undefined || !isBefore(other, one)) return;
      heap[at] = other;
      heap[below] = one;
      at = below;
    }
  }
}

function isBefore(a: Planned, b: Planned): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** All promises that can settle without an event have: a turn of the loop begins only after the last of them. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
