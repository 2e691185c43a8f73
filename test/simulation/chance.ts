import type { Random } from "../../services/backends/clock.ts";

/** All chance of a simulated cluster: a stream of numbers that is the same for the same seed (sfc32). */
export class Chance implements Random {
  #a: number;
  #b: number;
  #c: number;
  #count = 1;

  constructor(seed: number) {
    this.#a = 0x9e3779b9 ^ seed;
    this.#b = 0x243f6a88 + Math.imul(seed, 0x85ebca6b);
    this.#c = 0xb7e15162;
    for (let mix = 0; mix < 12; mix += 1) this.next();
  }

  /** A stream of its own, so that more draws in one place do not move those of another. */
  fork(): Chance {
    return new Chance(this.next());
  }

  fraction(): number {
    return (this.next() >>> 0) / 4_294_967_296;
  }

  hex(bytes: number): string {
    let text = "";
    while (text.length < bytes * 2) text += (this.next() >>> 0).toString(16).padStart(8, "0");
    return text.slice(0, bytes * 2);
  }

  is(probability: number): boolean {
    return probability > 0 && this.fraction() < probability;
  }

  /** Uniform, both ends included. */
  integer(from: number, to: number): number {
    return from + Math.floor(this.fraction() * (to - from + 1));
  }

  between(from: number, to: number): number {
    return from + this.fraction() * (to - from);
  }

  /** Small values far more often than large ones. */
  skewed(from: number, to: number): number {
    return from * (to / from) ** this.fraction();
  }

  pick<T>(values: readonly T[]): T {
    if (values.length === 0) throw new RangeError("nothing to pick from");
    return values[Math.floor(this.fraction() * values.length)] as T;
  }

  /** 32 bits, signed. */
  next(): number {
    const sum = (this.#a + this.#b + this.#count) | 0;
    this.#count = (this.#count + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum;
  }
}
