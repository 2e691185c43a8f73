/** What happened, in the order in which it did: the newest part in words (when it is told at all), the rare things counted. */
const KEPT = 4_000;

/** Words, or how to find them: most stories are never told. */
export type Words = string | (() => string);

export function textOf(words: Words): string {
  return typeof words === "string" ? words : words();
}

export class Story {
  readonly counters = new Map<string, number>();
  readonly violations: string[] = [];
  /** Words cost more than all else, so that a run goes without them; one that broke something is played again with them. */
  readonly isTold: boolean;
  /** When it was, who did it, what. */
  readonly #kept: (readonly [number, string, string])[] = [];
  #at = 0;

  constructor(isTold: boolean) {
    this.isTold = isTold;
  }

  tell(nowMs: number, who: string, what: Words): void {
    if (!this.isTold) return;
    this.#kept[this.#at] = [nowMs, who, textOf(what)];
    this.#at = (this.#at + 1) % KEPT;
  }

  /** A rare thing that must be seen to happen. */
  count(what: string): void {
    this.counters.set(what, (this.counters.get(what) ?? 0) + 1);
  }

  /** An invariant does not hold. */
  broken(nowMs: number, problem: string): void {
    this.violations.push(`${seconds(nowMs)} ${problem}`);
    this.tell(nowMs, "!!", problem);
  }

  /** The newest lines, oldest first. */
  last(lines: number): string[] {
    const ordered = [...this.#kept.slice(this.#at), ...this.#kept.slice(0, this.#at)];
    return ordered.slice(-lines).map(([atMs, who, what]) => `${seconds(atMs)} ${who.padEnd(12)} ${what}`);
  }
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(4).padStart(10);
}
