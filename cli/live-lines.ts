import type { Sink } from "./cli.ts";

/**
 * A few lines at the end of a terminal that are drawn anew in place. Each drawing is one write that overwrites and then
 * clears what is left of the old line, so that nothing flickers.
 */
export class LiveLines {
  readonly #sink: Sink;
  #shown: readonly string[] = [];

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  /** Lines must not be wider than the terminal. */
  draw(lines: readonly string[]): void {
    if (lines.join("\n") === this.#shown.join("\n")) return;
    this.#sink.write(`${this.#toTop()}${lines.map((line) => `${line}\x1b[K\n`).join("")}\x1b[J`);
    this.#shown = lines;
  }

  /** A line that stays, above the live ones. */
  say(line: string): void {
    const shown = this.#shown;
    this.clear();
    this.#sink.write(`${line}\n`);
    this.draw(shown);
  }

  clear(): void {
    if (this.#shown.length > 0) this.#sink.write(`${this.#toTop()}\x1b[J`);
    this.#shown = [];
  }

  #toTop(): string {
    return this.#shown.length === 0 ? "" : `\x1b[${String(this.#shown.length)}A\r`;
  }
}
