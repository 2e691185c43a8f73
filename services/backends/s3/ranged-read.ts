import type { ByteRange } from "../object-store.ts";
import { S3Failure } from "./s3-failure.ts";
import type { GetRequest, GotObject, S3Requests } from "./s3-requests.ts";
import type { S3Retry } from "./s3-retry.ts";

/** One connection to S3 carries some 50 to 90 MB/s: more than this is read in several pieces at once. */
export const PIECE_BYTES = 8 * 1024 * 1024;
const IN_FLIGHT_FIRST = 8;
const IN_FLIGHT_MAX = 12;

/**
 * How many pieces of large reads are under way at once, for all readers together: one more for each row of good answers,
 * half of them when S3 asks for fewer. It bounds the memory too: at most 12 pieces of 8 MiB.
 */
export class ReadWindow {
  #places = IN_FLIGHT_FIRST;
  #taken = 0;
  #goodInRow = 0;
  readonly #waiting: (() => void)[] = [];

  /** Pieces that may be under way now. */
  get places(): number {
    return this.#places;
  }

  async during<Answer>(read: () => Promise<Answer>): Promise<Answer> {
    await this.#enter();
    try {
      const answer = await read();
      this.#good();
      return answer;
    } finally {
      this.#taken -= 1;
      this.#admit();
    }
  }

  /** To be told of each failure. */
  readonly failed = ({ kind }: S3Failure): void => {
    this.#goodInRow = 0;
    if (kind === "throttled" || kind === "silent") this.#places = Math.max(1, Math.floor(this.#places / 2));
  };

  #good(): void {
    this.#goodInRow += 1;
    if (this.#goodInRow < this.#places) return;
    this.#goodInRow = 0;
    this.#places = Math.min(IN_FLIGHT_MAX, this.#places + 1);
  }

  async #enter(): Promise<void> {
    if (this.#taken < this.#places) {
      this.#taken += 1;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve)); // who admits it has taken the place for it
  }

  #admit(): void {
    while (this.#taken < this.#places) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#taken += 1;
      next();
    }
  }
}

export interface Reading {
  readonly requests: S3Requests;
  readonly retry: S3Retry;
  readonly window: ReadWindow;
}

/** A small read, or a piece of a large one. Throws `S3Failure`. */
export async function readPiece({ requests, retry, window }: Reading, request: GetRequest): Promise<GotObject> {
  const read = () => retry.run(() => requests.get(request), window.failed);
  const { range } = request;
  // Small reads neither fill the line nor the memory: they need not wait for large ones.
  const isLarge = range === undefined || range.end - range.start >= PIECE_BYTES / 8;
  return await (isLarge ? window.during(read) : read());
}

/** Reads a range of one version of an object into `into`, in pieces. Throws `S3Failure`; then nothing writes to `into` any more. */
export async function readPieces(
  reading: Reading,
  from: { readonly bucket: string; readonly key: string; readonly etag: string },
  range: ByteRange,
  into: Buffer,
): Promise<void> {
  const pieces: Promise<void>[] = [];
  let hasFailed = false;
  const readOne = async (start: number, end: number): Promise<void> => {
    if (hasFailed) return;
    const target = into.subarray(start - range.start, end - range.start);
    try {
      const { bytes } = await readPiece(reading, { ...from, range: { start, end }, into: target });
      if (bytes.buffer !== target.buffer) bytes.copy(target);
      if (bytes.length < end - start) throw new S3Failure({ kind: "range", code: "short answer" });
    } catch (error) {
      hasFailed = true;
      throw error;
    }
  };
  for (let start = range.start; start < range.end; start += PIECE_BYTES) {
    pieces.push(readOne(start, Math.min(range.end, start + PIECE_BYTES)));
  }
  // The buffer goes back to its reader only when nobody fills it any more.
  for (const piece of await Promise.allSettled(pieces)) {
    if (piece.status === "rejected") throw piece.reason;
  }
}
