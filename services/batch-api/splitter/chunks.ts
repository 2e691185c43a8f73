/** Reads one object from an offset to its end in chunks, some chunks ahead of its reader, into a few buffers by turns. */

/** Answers `[start, end)` of the object, in `into` or anywhere else; from elsewhere it is copied there. */
export type ReadRange = (start: number, end: number, into: Buffer) => Promise<Buffer>;

export interface Chunk {
  readonly bytes: Buffer;
  /** Offset of `bytes[0]` in the object. */
  readonly chunkStart: number;
}

type Fetched = { readonly kind: "chunk"; readonly chunk: Chunk } | { readonly kind: "fault"; readonly fault: unknown };

export class ChunkReader {
  readonly #read: ReadRange;
  readonly #size: number;
  readonly #buffers: readonly Buffer[];
  /** Reads under way, first chunk first: at most one fewer than buffers, as the reader looks at one. */
  readonly #ahead: Promise<Fetched>[] = [];
  #turn = 0;
  #offset: number;

  constructor(read: ReadRange, size: number, offset: number, buffers: readonly Buffer[]) {
    this.#read = read;
    this.#size = size;
    this.#offset = offset;
    this.#buffers = buffers;
  }

  /** The next chunk, valid until the next call; undefined at the object's end. Throws what reading threw. */
  async next(): Promise<Chunk | undefined> {
    this.#fetch();
    const fetched = await this.#ahead.shift();
    if (fetched?.kind === "fault") throw fetched.fault;
    return fetched?.chunk;
  }

  /** Waits for the reads under way, so that the buffers are free. */
  async close(): Promise<void> {
    await Promise.all(this.#ahead);
  }

  #fetch(): void {
    while (this.#ahead.length < this.#buffers.length - 1) {
      const into = this.#buffers[this.#turn];
      if (this.#offset >= this.#size || into === undefined) return;
      this.#turn = (this.#turn + 1) % this.#buffers.length;
      const chunkStart = this.#offset;
      const end = Math.min(this.#size, chunkStart + into.length);
      this.#offset = end;
      this.#ahead.push(this.#fetched(chunkStart, end, into));
    }
  }

  /** Never rejects: a fault waits for the reader that asks for the chunk. */
  async #fetched(chunkStart: number, end: number, into: Buffer): Promise<Fetched> {
    try {
      const bytes = await this.#read(chunkStart, end, into);
      if (bytes.buffer !== into.buffer) bytes.copy(into);
      return { kind: "chunk", chunk: { bytes: into.subarray(0, bytes.length), chunkStart } };
    } catch (fault) {
      return { kind: "fault", fault };
    }
  }
}
