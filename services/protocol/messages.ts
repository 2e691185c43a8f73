import { LIMITS } from "./limits.ts";
import type { BatchPointer, Span } from "./pointers.ts";

export const MESSAGE_FORMAT = 1;

/** A pointer on its way to a worker. */
export interface BatchMessage {
  readonly kind: "batch";
  readonly format: typeof MESSAGE_FORMAT;
  readonly job: string;
  /** The lane epoch it was sent in: a lower one than the worker's is dropped, a higher one means the worker is the zombie. */
  readonly epoch: number;
  /** Counts from 0 in the job. */
  readonly batch: number;
  /** Counts from 1. */
  readonly attempt: number;
  /** Index in the job of the batch's first item. */
  readonly first_item: number;
  /** Without spans where they are too long for a message (`carried`): then the batch's split file has them. */
  readonly pointer: BatchPointer;
  /** Run with nothing beside it, after a durable `started` line: it was there when a worker died. */
  readonly alone?: boolean;
}

/** A hint that the completion hook is open; the truth is `completion.json`. */
export interface CompletionTicket {
  readonly kind: "completion";
  readonly format: typeof MESSAGE_FORMAT;
  readonly job: string;
  readonly epoch: number;
  /** The number of the opening, as in `completion.json`. */
  readonly opening: number;
}

export type Message = BatchMessage | CompletionTicket;

export function encodeMessage(message: Message): string {
  return JSON.stringify(message);
}

/** Undefined when the text is no message of a format that we know: the caller counts it and acks it. */
export function decodeMessage(text: string): Message | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // not ours: the re-send rule brings back whatever it was
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { kind, format } = value as Partial<Message>;
  if (format !== MESSAGE_FORMAT) return undefined;
  if (kind === "batch" && isBatch(value)) return value as BatchMessage;
  if (kind === "completion" && isTicket(value)) return value as CompletionTicket;
  return undefined;
}

/** So few spans fit always: an address has 4,352 characters at most. */
const SPANS_SURELY_FIT = 8;

/** A batch's pointer as its message carries it. */
export function carried(pointer: BatchPointer): BatchPointer {
  const { items, spans } = pointer;
  if (spans.length <= SPANS_SURELY_FIT) return pointer;
  return Buffer.byteLength(JSON.stringify(spans)) > LIMITS.messageSpansBytesMax ? { items, spans: [] } : pointer;
}

type Unchecked<T> = { readonly [Key in keyof T]?: unknown };

function isBatch(message: Unchecked<BatchMessage>): boolean {
  const { job, epoch, batch, attempt, first_item, pointer, alone } = message;
  if (typeof job !== "string" || job === "" || (alone !== undefined && typeof alone !== "boolean")) return false;
  return isCount(epoch) && isCount(batch) && isCount(attempt, 1) && isCount(first_item) && isPointer(pointer);
}

function isTicket({ job, epoch, opening }: Unchecked<CompletionTicket>): boolean {
  return typeof job === "string" && job !== "" && isCount(epoch) && isCount(opening);
}

function isPointer(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { items, spans } = value as Unchecked<BatchPointer>;
  return isCount(items, 1) && Array.isArray(spans) && spans.every(isSpan);
}

function isSpan(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { uri, etag, format, start, end, items } = value as Unchecked<Span>;
  if (typeof uri !== "string" || uri === "" || typeof etag !== "string") return false;
  if (format !== "lines" && format !== "array" && format !== "concatenated") return false;
  return isCount(start) && isCount(end, start) && isCount(items, 1);
}

function isCount(value: unknown, least = 0): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least;
}
