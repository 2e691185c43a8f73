import type { BatchPointer } from "./pointers.ts";

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
  if (format !== MESSAGE_FORMAT || (kind !== "batch" && kind !== "completion")) return undefined;
  return value as Message;
}
