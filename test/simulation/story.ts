/** What happened, in the order in which it did: the newest part in words, the whole as a hash. */
const KEPT = 4_000;

export class Story {
  readonly counters = new Map<string, number>();
  readonly violations: string[] = [];
  /** When it was, who did it, what. */
  readonly #kept: (readonly [number, string, string])[] = [];
  #at = 0;
  #hash = 0x811c9dc5;

  tell(nowMs: number, who: string, what: string): void {
    this.#kept[this.#at] = [nowMs, who, what];
    this.#at = (this.#at + 1) % KEPT;
    this.#mix(Math.round(nowMs * 1000));
    for (let i = 0; i < who.length; i += 1) this.#mix(who.charCodeAt(i));
    for (let i = 0; i < what.length; i += 1) this.#mix(what.charCodeAt(i));
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

  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  /** The newest lines, oldest first. */
  last(lines: number): string[] {
    const ordered = [...this.#kept.slice(this.#at), ...this.#kept.slice(0, this.#at)];
    return ordered.slice(-lines).map(([atMs, who, what]) => `${seconds(atMs)} ${who.padEnd(12)} ${what}`);
  }

  #mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ (value & 0xffff), 0x01000193);
  }
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(4).padStart(10);
}
