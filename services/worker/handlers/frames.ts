/** Encodes and reads the frames of `services/protocol/frames.ts` on the supervisor's side. */
import { FRAME_HEAD_BYTES } from "../../protocol/frames.ts";
import { LIMITS } from "../../protocol/limits.ts";

/** A frame as it came: nothing about `kind`, `sequence` and `meta` is checked yet. */
export interface RawFrame {
  readonly kind: number;
  readonly sequence: number;
  readonly meta: Buffer;
  readonly body: Buffer;
}

/** A body up to this size is copied behind its head: that is cheaper than another piece to write. */
const COPIED_BYTES_MAX = 64 * 1024;

/** The pieces of a frame, in order; a large body is passed through as it is. */
export function encodeFrame(kind: number, sequence: number, meta: string, body: Buffer): readonly Buffer[] {
  const metaBytes = Buffer.byteLength(meta);
  if (metaBytes > 0xffff) throw new RangeError(`a frame's meta has ${String(metaBytes)} bytes; at most 65535 fit`);
  const copied = body.length <= COPIED_BYTES_MAX;
  const head = Buffer.allocUnsafe(FRAME_HEAD_BYTES + metaBytes + (copied ? body.length : 0));
  head.writeUInt32LE(metaBytes + body.length, 0);
  head.writeUInt8(kind, 4);
  head.writeUInt8(0, 5);
  head.writeUInt16LE(metaBytes, 6);
  head.writeUInt32LE(sequence >>> 0, 8);
  head.write(meta, FRAME_HEAD_BYTES);
  if (!copied) return [head, body];
  body.copy(head, FRAME_HEAD_BYTES + metaBytes);
  return [head];
}

/**
 * Cuts a stream of chunks into frames. A frame that spans chunks is copied once, when it is whole, so that large bodies
 * cost no more than small ones.
 */
export class FrameReader {
  readonly #bytesMax: number;
  #parts: Buffer[] = [];
  #have = 0;
  #need = FRAME_HEAD_BYTES;
  #broken = false;

  constructor(bytesMax: number = LIMITS.frameBytesMax) {
    this.#bytesMax = bytesMax;
  }

  /** True from when bytes came that are no frame: nothing from there on can be trusted, and no more is read. */
  get broken(): boolean {
    return this.#broken;
  }

  /** The frames that are whole now, up to where the bytes are no frames any more. */
  push(chunk: Buffer): RawFrame[] {
    if (this.#broken) return [];
    this.#parts.push(chunk);
    this.#have += chunk.length;
    if (this.#have < this.#need) return [];
    const bytes = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts, this.#have);
    const frames: RawFrame[] = [];
    let at = 0;
    this.#need = FRAME_HEAD_BYTES;
    while (bytes.length - at >= FRAME_HEAD_BYTES) {
      const length = bytes.readUInt32LE(at);
      const metaBytes = bytes.readUInt16LE(at + 6);
      if (length > this.#bytesMax || metaBytes > length || bytes[at + 5] !== 0) {
        this.#broken = true;
        return frames;
      }
      const end = at + FRAME_HEAD_BYTES + length;
      if (end > bytes.length) {
        this.#need = FRAME_HEAD_BYTES + length;
        break;
      }
      const bodyAt = at + FRAME_HEAD_BYTES + metaBytes;
      frames.push({
        kind: bytes.readUInt8(at + 4),
        sequence: bytes.readUInt32LE(at + 8),
        meta: bytes.subarray(at + FRAME_HEAD_BYTES, bodyAt),
        body: bytes.subarray(bodyAt, end),
      });
      at = end;
    }
    this.#parts = at < bytes.length ? [bytes.subarray(at)] : [];
    this.#have = bytes.length - at;
    return frames;
  }
}
