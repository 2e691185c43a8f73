/** Reads a handler's answers: the border where what user code made is checked. */
import { FRAME_KIND } from "../../protocol/frames.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { RawFrame } from "./frames.ts";
import { HandlerStartFailed, type Ready, type RunAnswer } from "./handler.ts";

const NEWLINE = 10;
/** What a handler that returns nothing is answered with; known by sight, since short batches come by ten thousands. */
const NO_ROWS = Buffer.from('{"rows":null}');

/** The answer to a batch of `items` items (0: the completion hook); undefined when the frame is none. */
export function readAnswer(frame: RawFrame, items: number): RunAnswer | undefined {
  if (frame.kind === FRAME_KIND.bad_items) return { kind: "bad_items" };
  if (frame.kind === FRAME_KIND.done && frame.meta.equals(NO_ROWS)) return readDone(null, frame.body, items);
  const meta = readMeta(frame.meta);
  if (meta === undefined) return undefined;
  if (frame.kind === FRAME_KIND.done) return readDone(meta.rows, frame.body, items);
  if (frame.kind !== FRAME_KIND.failed) return undefined;
  const { cause, error } = meta;
  if (cause !== "raised" && cause !== "bad_answer" && cause !== "exited") return undefined;
  if (typeof error !== "string") return undefined;
  return { kind: "failed", cause, error: error.slice(0, LIMITS.errorCharactersMax), traceback: textOf(frame.body) };
}

/** The answer to `init`; undefined when the frame is none. */
export function readStart(frame: RawFrame): Ready | HandlerStartFailed | undefined {
  const meta = readMeta(frame.meta);
  if (meta === undefined || frame.sequence !== 0) return undefined;
  const { hook, error } = meta;
  if (frame.kind === FRAME_KIND.ready && typeof hook === "boolean") return { hook };
  if (frame.kind !== FRAME_KIND.start_failed || typeof error !== "string") return undefined;
  return new HandlerStartFailed(error.slice(0, LIMITS.errorCharactersMax), textOf(frame.body));
}

function readDone(rows: unknown, body: Buffer, items: number): RunAnswer | undefined {
  if (rows === null) return body.length === 0 ? { kind: "done", rows: null, bytes: body } : undefined;
  if (rows !== items || countLines(body) !== items) return undefined;
  return { kind: "done", rows: items, bytes: body };
}

/** Lines that end in a newline; -1 when the last one does not. */
function countLines(body: Buffer): number {
  let lines = 0;
  let at = 0;
  while (at < body.length) {
    const end = body.indexOf(NEWLINE, at);
    if (end < 0) return -1;
    lines += 1;
    at = end + 1;
  }
  return lines;
}

function readMeta(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString());
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // no JSON: the caller rejects the frame
  }
}

function textOf(body: Buffer): string {
  // Bytes of a character are at most four: no need to decode what will not be kept.
  const start = Math.max(0, body.length - 4 * LIMITS.tracebackCharactersMax);
  return body.toString("utf8", start).slice(-LIMITS.tracebackCharactersMax);
}
