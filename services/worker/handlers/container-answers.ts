/** Reads what a container answered to a batch: the border where bytes of user code are checked. */
import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { RunMeta } from "../../protocol/frames.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { scanSubmission, sliceElements } from "../../protocol/raw-items.ts";

/** An answer's body: the whole, or where it was too long its last bytes. */
export interface AnswerBody {
  readonly bytes: Buffer;
  readonly cut: boolean;
}

/** Of a text that explains a failure this much is kept; a character takes at most four bytes. */
const TAIL_BYTES = 4 * LIMITS.tracebackCharactersMax;
const BEFORE = Buffer.from('{"item_list":{"items":');
const AFTER = Buffer.from("}}");
const NEWLINE = Buffer.from("}\n");

/** Reads to the end, in flat memory: beyond `bytesMax` only the end is kept. Rejects when the connection breaks. */
export async function readBody(response: IncomingMessage, bytesMax: number): Promise<AnswerBody> {
  let pieces: Buffer[] = [];
  let bytes = 0;
  let cut = false;
  for await (const piece of response as AsyncIterable<Buffer>) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes <= bytesMax && !cut) continue;
    cut = true;
    if (bytes < 2 * TAIL_BYTES) continue;
    pieces = [Buffer.from(Buffer.concat(pieces).subarray(-TAIL_BYTES))];
    bytes = TAIL_BYTES;
  }
  return { bytes: Buffer.concat(pieces), cut };
}

/** The end of a body, as text. */
export function tailOf({ bytes }: AnswerBody): string {
  return bytes.subarray(-TAIL_BYTES).toString("utf8").slice(-LIMITS.tracebackCharactersMax);
}

export type RowsRead =
  /** `bytes`: one line a row; null: an answer without rows. */
  | { readonly kind: "rows"; readonly bytes: Buffer | null }
  /** `fault` follows "The container answered with". */
  | { readonly kind: "fault"; readonly fault: string };

/** The rows of an answer to `meta.items` items. Values pass through byte for byte; line breaks between tokens become blanks. */
export function readRows({ bytes, cut }: AnswerBody, { items, first }: RunMeta): RowsRead {
  if (cut) return { kind: "fault", fault: `more than ${String(LIMITS.containerAnswerBytesMax)} bytes` };
  const text = bytes.length < 64 ? bytes.toString("latin1").trim() : "…";
  if (text === "" || text === "null") return { kind: "rows", bytes: null };
  const elements = isUtf8(bytes) ? elementsOf(bytes) : undefined;
  if (elements === undefined) return { kind: "fault", fault: "something that is no JSON list" };
  if (elements.length !== items) {
    return { kind: "fault", fault: `a list of ${String(elements.length)} for a batch of ${String(items)} items` };
  }
  const pieces = elements.flatMap((element, index) => {
    return [Buffer.from(`{"index":${String(first + index)},"result":`), element, NEWLINE];
  });
  return { kind: "rows", bytes: Buffer.concat(pieces) };
}

/** The elements of a JSON list; undefined when it is none. Big numbers and escapes survive: nothing is decoded. */
function elementsOf(bytes: Buffer): Buffer[] | undefined {
  const body = Buffer.concat([BEFORE, bytes, AFTER]);
  let elements: readonly number[] | undefined;
  try {
    ({ elements } = scanSubmission(body));
  } catch {
    return undefined; // JsonFault: the answer is its absence
  }
  if (elements === undefined) return undefined;
  // What was put around it must still be around it: `1], "items": [2` is no list.
  const [start = body.length - AFTER.length] = elements;
  const end = elements.at(-1) ?? BEFORE.length;
  if (elements.length === 0) return isBracket(bytes, /^\s*\[\s*\]\s*$/) ? [] : undefined;
  if (!isBracket(body.subarray(BEFORE.length, start), /^\s*\[\s*$/)) return undefined;
  if (!isBracket(body.subarray(end, body.length - AFTER.length), /^\s*\]\s*$/)) return undefined;
  return sliceElements(body, elements);
}

function isBracket(bytes: Buffer, shape: RegExp): boolean {
  return shape.test(bytes.toString("latin1"));
}
