import type { Message } from "../protocol/messages.ts";
import type { Delivery } from "./batch-queue.ts";
import { MessagePack, type PackTables } from "./packed-messages.ts";

/** Which worker incarnation a connection belongs to: `<epoch>-<generation>-<index>-<incarnation>` of a job. */
export interface WorkerHello {
  readonly job: string;
  readonly epoch: number;
  readonly generation: number;
  readonly index: number;
  /** Random part of its name. */
  readonly incarnation: string;
}

/** An answer is not made longer than about this: batches over thousands of small files are long. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/** Heads of the requests; messages travel packed in the body. */
export type QueueRequest =
  | { readonly op: "receive"; readonly lane: string; readonly messagesMax: number; readonly waitSeconds: number }
  | { readonly op: "send"; readonly lane: string; readonly tables: PackTables }
  | { readonly op: "extend" | "ack" | "release"; readonly lane: string; readonly receipts: readonly string[] }
  | { readonly op: "probe"; readonly lane: string };

/** Heads of the answers, by the request's kind. */
export interface ReceiveAnswer {
  readonly receipts: readonly string[];
  /** Delivery counts; absent when all are 1. */
  readonly deliveries?: readonly number[];
  readonly tables: PackTables;
}

/** A request that no client of ours makes; its connection ends. */
export class QueueRequestError extends Error {
  override readonly name = "QueueRequestError";
}

export function readHello(head: unknown): WorkerHello {
  const { hello } = fields(head);
  const { job, epoch, generation, index, incarnation } = fields(hello);
  if (typeof job !== "string" || typeof incarnation !== "string") throw new QueueRequestError("hello: no names");
  return { job, epoch: count(epoch), generation: count(generation), index: count(index), incarnation };
}

export function readRequest(head: unknown): QueueRequest {
  const request = fields(head);
  const { op, lane } = request;
  if (typeof lane !== "string") throw new QueueRequestError("no lane");
  switch (op) {
    case "receive": {
      const messagesMax = count(request.messagesMax);
      const { waitSeconds } = request;
      if (messagesMax < 1 || typeof waitSeconds !== "number") throw new QueueRequestError("receive: wrong limits");
      return { op, lane, messagesMax, waitSeconds };
    }
    case "send": {
      const { heads, sources, others } = fields(request.tables);
      if (!Array.isArray(heads) || !Array.isArray(sources) || !Array.isArray(others)) {
        throw new QueueRequestError("send: no tables");
      }
      return { op, lane, tables: { heads, sources, others } };
    }
    case "extend":
    case "ack":
    case "release": {
      const { receipts } = request;
      if (!isStrings(receipts)) throw new QueueRequestError(`${op}: no receipts`);
      return { op, lane, receipts };
    }
    case "probe":
      return { op, lane };
    default:
      throw new QueueRequestError("unknown request");
  }
}

export function packMessages(messages: readonly Message[]): MessagePack {
  const pack = new MessagePack(64 + 32 * messages.length);
  for (const message of messages) pack.append(message);
  return pack;
}

/** Throws `QueueRequestError` when the bytes are not packed messages. */
export function unpackMessages(tables: PackTables, body: Buffer): Message[] {
  try {
    const pack = MessagePack.of(tables, body);
    const messages: Message[] = [];
    for (let at = 0; at < pack.length; at = pack.next) messages.push(pack.read(at));
    return messages;
  } catch (cause) {
    throw new QueueRequestError("no packed messages where some were due", { cause });
  }
}

/** An answer with as many deliveries as fit well into a frame, at least one; the others are `rest`. */
export function packDeliveries(deliveries: readonly Delivery[]): {
  readonly head: ReceiveAnswer;
  readonly body: Buffer;
  readonly rest: readonly Delivery[];
} {
  const pack = new MessagePack(64 + 32 * deliveries.length);
  const receipts: string[] = [];
  const counts: number[] = [];
  let first = true;
  for (const { message, receipt, deliveries: count } of deliveries) {
    if (pack.wireBytes > ANSWER_BYTES_MAX) break;
    pack.append(message);
    receipts.push(receipt);
    counts.push(count);
    first &&= count === 1;
  }
  const head = { receipts, ...(first ? {} : { deliveries: counts }), tables: pack.tables };
  return { head, body: pack.bytes, rest: deliveries.slice(receipts.length) };
}

export function unpackDeliveries({ receipts, deliveries, tables }: ReceiveAnswer, body: Buffer): Delivery[] {
  return unpackMessages(tables, body).map((message, i) => {
    const receipt = receipts[i];
    if (receipt === undefined) throw new RangeError("a received message came without its receipt");
    return { message, receipt, deliveries: deliveries?.[i] ?? 1 };
  });
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) throw new QueueRequestError("no object where one was due");
  return value as Readonly<Record<string, unknown>>;
}

function count(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new QueueRequestError("no count where one was due");
  }
  return value;
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}
