/** Reads one object from an offset to its end in chunks, one chunk ahead of its reader, into two buffers by turns. */

/** Answers `[start, end)` of the object, in `into` or anywhere else; from elsewhere it is copied there. */
export type ReadRange = (start: number, end: number, into: Buffer) => Promise<Buffer>;

export interface Chunk {
  readonly bytes: Buffer;
  /** Offset of `bytes[0]` in the object. */
  readonly base: number;
}

type Fetched = { readonly kind: "chunk"; readonly chunk: Chunk } | { readonly kind: "fault"; readonly fault: unknown };

export class ChunkReader {
  readonly #read: ReadRange;
  readonly #size: number;
  readonly #buffers: readonly Buffer[];
  #turn = 0;
  #offset: number;
  #ahead: Promise<Fetched> | undefined;

  constructor(read: ReadRange, size: number, offset: number, buffers: readonly Buffer[]) {
    this.#read = read;
    this.#size = size;
    this.#offset = offset;
    this.#buffers = buffers;
  }

  /** The next chunk, valid until the next call; undefined at the object's end. Throws what reading threw. */
  async next(): Promise<Chunk | undefined> {
    const fetched = await (this.#ahead ?? this.#fetch());
    this.#ahead = undefined;
    if (fetched === undefined) return undefined;
    if (fetched.kind === "fault") throw fetched.fault;
    this.#ahead = this.#fetch();
    return fetched.chunk;
  }

  /** Waits for the read ahead to be through, so that its buffer is free. */
  async close(): Promise<void> {
    await this.#ahead;
    this.#ahead = undefined;
  }

  /** Never rejects: a fault waits for the reader that asks for the chunk. */
  #fetch(): Promise<Fetched> | undefined {
    const into = this.#buffers[this.#turn];
    if (this.#offset >= this.#size || into === undefined) return undefined;
    this.#turn = (this.#turn + 1) % this.#buffers.length;
    const base = this.#offset;
    const end = Math.min(this.#size, base + into.length);
    this.#offset = end;
    return this.#read(base, end, into).then(
      (bytes) => {
        if (bytes.buffer !== into.buffer) bytes.copy(into);
        return { kind: "chunk", chunk: { bytes: into.subarray(0, bytes.length), base } };
      },
      (fault: unknown) => ({ kind: "fault", fault }),
    );
  }
}
