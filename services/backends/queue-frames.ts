import type { Socket } from "node:net";

/**
 * The frames between a worker and the service's queue, in both directions over one Unix socket:
 *
 *   u32 length of all that follows · u32 number of the request · u32 length of the head · head (JSON) · body (bytes)
 *
 * Little-endian. An answer carries the number of its request; answers come in any order.
 */
export interface QueueFrame {
  readonly request: number;
  readonly head: unknown;
  readonly body: Buffer;
}

const LENGTH_BYTES = 4;
const FIXED_BYTES = 8;

/** Answers end at a quarter of this, unless one message alone is longer; more is garbage. */
export const QUEUE_FRAME_BYTES_MAX = 64 * 1024 * 1024;

const NO_BODY = Buffer.alloc(0);

/** Writes a frame; answers false when the socket wants the writer to wait for `drain`. */
export function writeQueueFrame(socket: Socket, request: number, head: unknown, body: Buffer = NO_BODY): boolean {
  const headBytes = Buffer.from(JSON.stringify(head));
  const fixed = Buffer.allocUnsafe(LENGTH_BYTES + FIXED_BYTES);
  const length = FIXED_BYTES + headBytes.length + body.length;
  if (length > QUEUE_FRAME_BYTES_MAX) {
    throw new RangeError(`a queue frame of ${String(length)} bytes: the most is ${String(QUEUE_FRAME_BYTES_MAX)}`);
  }
  fixed.writeUInt32LE(length, 0);
  fixed.writeUInt32LE(request, 4);
  fixed.writeUInt32LE(headBytes.length, 8);
  return socket.write(Buffer.concat([fixed, headBytes, body]));
}

/** Cuts a byte stream into frames. Throws `GarbageFrame` as soon as the stream cannot be frames of ours. */
export class QueueFrameReader {
  private readonly chunks: Buffer[] = [];
  private bytes = 0;
  /** Bytes of the next frame with its length; undefined until its length is known. */
  private wanted: number | undefined;

  /** The frames that are complete now. Bodies are views, good for as long as they are held. */
  *push(chunk: Buffer): Generator<QueueFrame> {
    this.chunks.push(chunk);
    this.bytes += chunk.length;
    let joined: Buffer | undefined;
    let at = 0;
    for (;;) {
      if (this.wanted === undefined) {
        if (this.bytes - at < LENGTH_BYTES) break;
        joined ??= this.join();
        this.wanted = LENGTH_BYTES + checkedLength(joined.readUInt32LE(at));
      }
      if (this.bytes - at < this.wanted) break;
      joined ??= this.join();
      yield readFrame(joined.subarray(at + LENGTH_BYTES, at + this.wanted));
      at += this.wanted;
      this.wanted = undefined;
    }
    if (joined === undefined || at === 0) return;
    const rest = joined.subarray(at);
    this.chunks.splice(0, this.chunks.length, ...(rest.length > 0 ? [rest] : []));
    this.bytes = rest.length;
  }

  private join(): Buffer {
    const [first] = this.chunks;
    const joined = this.chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.chunks);
    this.chunks.splice(0, this.chunks.length, joined);
    return joined;
  }
}

/** The other side does not speak this protocol; its connection ends. */
export class GarbageFrame extends Error {
  override readonly name = "GarbageFrame";
}

function checkedLength(length: number): number {
  if (length < FIXED_BYTES || length > QUEUE_FRAME_BYTES_MAX) {
    throw new GarbageFrame(`a frame of ${String(length)} bytes came over the queue's socket`);
  }
  return length;
}

function readFrame(frame: Buffer): QueueFrame {
  const headEnd = FIXED_BYTES + frame.readUInt32LE(4);
  if (headEnd > frame.length) throw new GarbageFrame("a frame's head is longer than the frame");
  let head: unknown;
  try {
    head = JSON.parse(frame.toString("utf8", FIXED_BYTES, headEnd));
  } catch (cause) {
    throw new GarbageFrame("a frame's head is not JSON", { cause });
  }
  return { request: frame.readUInt32LE(0), head, body: frame.subarray(headEnd) };
}
