/**
 * What a handler prints: one pipe of bytes, cut into lines, and markers between them that tell which frame they belong to. The host writes a marker
 * `\0<nonce> <sequence>\n` before each frame's work. Memory stays flat whatever is printed.
 */
import type { Clock } from "../../backends/clock.ts";
import { LIMITS } from "../../protocol/limits.ts";

export interface OutputOptions {
  readonly nonce: string;
  readonly clock: Clock;
  /** Without its newline, at most `lineBytesMax` bytes. */
  readonly onLine: (text: string) => void;
  /** The work on this frame began; the lines that follow are its. */
  readonly onMarker: (sequence: number) => void;
  readonly lineBytesMax?: number;
  readonly bytesPerSecond?: number;
  readonly burstBytes?: number;
}

const NEWLINE = 10;
/** Longest marker: `\0`, nonce, space, ten digits, newline. */
const SEQUENCE_BYTES_MAX = 12;

export class OutputSplitter {
  readonly #options: OutputOptions;
  readonly #marker: Buffer;
  readonly #lineBytesMax: number;
  readonly #bytesPerSecond: number;
  readonly #burstBytes: number;
  #rest: Buffer = Buffer.alloc(0);
  #tokens: number;
  #filledAt: number;
  #cutBytes = 0;

  constructor(options: OutputOptions) {
    this.#options = options;
    this.#marker = Buffer.from(`\0${options.nonce} `);
    this.#lineBytesMax = options.lineBytesMax ?? LIMITS.logLineBytesMax;
    this.#bytesPerSecond = options.bytesPerSecond ?? LIMITS.logBytesPerSecond;
    this.#burstBytes = options.burstBytes ?? LIMITS.logBurstBytes;
    this.#tokens = this.#burstBytes;
    this.#filledAt = options.clock.monotonicMs();
  }

  push(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    for (;;) {
      const end = bytes.indexOf(NEWLINE, at);
      if (end < 0) break;
      this.#line(bytes.subarray(at, end));
      at = end + 1;
    }
    // A line that grows too long is cut; its last bytes stay, since a marker may have begun in them.
    const tail = this.#marker.length + SEQUENCE_BYTES_MAX;
    while (bytes.length - at > this.#lineBytesMax + tail) {
      this.#say(bytes.subarray(at, at + this.#lineBytesMax));
      at += this.#lineBytesMax;
    }
    this.#rest = at === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at));
  }

  /** The pipe has ended: says what is left. */
  end(): void {
    if (this.#rest.length > 0) this.#line(this.#rest);
    this.#rest = Buffer.alloc(0);
    this.#sayCut();
  }

  /** One line's bytes, which may end in a marker: what was printed without a newline stands before it. */
  #line(bytes: Buffer): void {
    const at = bytes.indexOf(this.#marker);
    if (at < 0) {
      this.#cutLong(bytes);
      return;
    }
    if (at > 0) this.#cutLong(bytes.subarray(0, at));
    const sequence = Number(bytes.toString("latin1", at + this.#marker.length));
    if (!Number.isSafeInteger(sequence)) return;
    this.#earn();
    if (this.#tokens > 0) this.#sayCut();
    this.#options.onMarker(sequence);
  }

  #cutLong(bytes: Buffer): void {
    if (bytes.length <= this.#lineBytesMax) {
      this.#say(bytes);
      return;
    }
    for (let at = 0; at < bytes.length; at += this.#lineBytesMax)
      this.#say(bytes.subarray(at, at + this.#lineBytesMax));
  }

  #say(bytes: Buffer): void {
    this.#earn();
    const price = bytes.length + 1;
    if (price > this.#tokens) {
      this.#cutBytes += price;
      return;
    }
    this.#tokens -= price;
    this.#sayCut();
    const last = bytes.length - 1;
    this.#options.onLine(bytes.toString("utf8", 0, bytes[last] === 13 ? last : bytes.length));
  }

  #earn(): void {
    const now = this.#options.clock.monotonicMs();
    const earned = ((now - this.#filledAt) / 1000) * this.#bytesPerSecond;
    this.#tokens = Math.min(this.#burstBytes, this.#tokens + earned);
    this.#filledAt = now;
  }

  #sayCut(): void {
    if (this.#cutBytes === 0) return;
    const rate = `${String(this.#bytesPerSecond)} bytes a second`;
    const text = `${String(this.#cutBytes)} bytes of output were cut here: a worker may log ${rate}`;
    this.#cutBytes = 0;
    this.#tokens -= text.length;
    this.#options.onLine(text);
  }
}
