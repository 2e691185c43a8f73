import type { Socket } from "node:net";
import type { Message } from "../protocol/messages.ts";
import type { BatchQueue, Delivery, ReceiveOptions } from "./batch-queue.ts";
import { QueueFrameReader, writeQueueFrame, type QueueFrame } from "./queue-frames.ts";
import {
  packMessages,
  unpackDeliveries,
  type QueueRequest,
  type ReceiveAnswer,
  type WorkerHello,
} from "./queue-wire.ts";
import { connectTo } from "./service-socket.ts";

/** The connection to the service's queue has ended; nothing that was held is leased any more. */
export class QueueClosed extends Error {
  override readonly name = "QueueClosed";
}

/** Numbers of requests are 32 bits wide on the wire. */
const REQUEST_NUMBERS = 2 ** 32;

interface Pending {
  readonly answer: (frame: QueueFrame) => void;
  readonly fail: (error: Error) => void;
}

/**
 * Connects a worker to the queue that its service serves. Throws when nobody answers there.
 *
 *     const queue = await connectQueue(environment[ENV.socket], hello);
 *     queue.closed.then(killHandlersAndExit);
 */
export async function connectQueue(path: string, hello: WorkerHello): Promise<SocketQueue> {
  const socket = await connectTo(path);
  const connection = new QueueConnection(socket);
  const { head } = await connection.ask({ hello });
  return new SocketQueue(connection, (head as { readonly leaseSeconds: number }).leaseSeconds);
}

/** The worker's side of a queue that lives in the service process. All calls throw `QueueClosed` once it is closed. */
export class SocketQueue implements BatchQueue {
  readonly leaseSeconds: number;
  /** Resolves when the connection has ended, from either side. The worker then kills its handlers and exits. */
  readonly closed: Promise<void>;
  private readonly connection: QueueConnection;

  /** Use `connectQueue`. */
  constructor(connection: QueueConnection, leaseSeconds: number) {
    this.connection = connection;
    this.leaseSeconds = leaseSeconds;
    this.closed = connection.closed;
  }

  async send(lane: string, messages: readonly Message[]): Promise<readonly number[]> {
    const pack = packMessages(messages);
    const { head } = await this.connection.ask({ op: "send", lane, tables: pack.tables }, pack.bytes);
    return (head as { readonly rest: readonly number[] }).rest;
  }

  async receive(lane: string, { messagesMax, waitSeconds }: ReceiveOptions): Promise<readonly Delivery[]> {
    if (!(messagesMax >= 1)) throw new RangeError(`messagesMax is ${String(messagesMax)}: it must be at least 1`);
    const most = Math.min(Math.trunc(messagesMax), Number.MAX_SAFE_INTEGER);
    const { head, body } = await this.connection.ask({ op: "receive", lane, messagesMax: most, waitSeconds });
    return unpackDeliveries(head as ReceiveAnswer, body);
  }

  async extend(lane: string, receipts: readonly string[]): Promise<readonly string[]> {
    const { head } = await this.connection.ask({ op: "extend", lane, receipts });
    return (head as { readonly lost: readonly string[] }).lost;
  }

  async ack(lane: string, receipts: readonly string[]): Promise<void> {
    await this.connection.ask({ op: "ack", lane, receipts });
  }

  async release(lane: string, receipts: readonly string[]): Promise<void> {
    await this.connection.ask({ op: "release", lane, receipts });
  }

  async probe(lane: string): Promise<void> {
    await this.connection.ask({ op: "probe", lane });
  }

  /** Ends the connection; what is still held is released by the service. */
  async close(): Promise<void> {
    this.connection.end();
    await this.closed;
  }
}

/** Requests with their answers over one socket, any number of them under way. */
export class QueueConnection {
  readonly closed: Promise<void>;
  private readonly socket: Socket;
  private readonly frames = new QueueFrameReader();
  private readonly pending = new Map<number, Pending>();
  private requests = 0;
  private ended = false;
  /** Requests that wait until the socket takes more. */
  private readonly writers: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk) => {
      this.read(chunk);
    });
    socket.on("drain", () => {
      this.wakeWriters();
    });
    socket.on("error", () => undefined); // `close` follows and is what counts
    this.closed = new Promise((resolve) => {
      socket.on("close", () => {
        this.ended = true;
        for (const { fail } of this.pending.values()) fail(closedError());
        this.pending.clear();
        this.wakeWriters();
        resolve();
      });
    });
  }

  async ask(head: QueueRequest | { readonly hello: WorkerHello }, body?: Buffer): Promise<QueueFrame> {
    while (this.socket.writableNeedDrain && !this.ended) await this.writable();
    if (this.ended) throw closedError();
    const request = this.requests;
    this.requests = (request + 1) % REQUEST_NUMBERS;
    return new Promise<QueueFrame>((resolve, reject) => {
      this.pending.set(request, { answer: resolve, fail: reject });
      writeQueueFrame(this.socket, request, head, body);
    });
  }

  end(): void {
    this.socket.destroy();
  }

  /** Resolves when the socket takes more, or is closed. */
  private writable(): Promise<void> {
    return new Promise((resolve) => this.writers.push(resolve));
  }

  private wakeWriters(): void {
    for (const wake of this.writers.splice(0)) wake();
  }

  private read(chunk: Buffer): void {
    try {
      for (const frame of this.frames.push(chunk)) this.settle(frame);
    } catch {
      this.socket.destroy(); // the service talks garbage: as good as gone
    }
  }

  private settle(frame: QueueFrame): void {
    const pending = this.pending.get(frame.request);
    this.pending.delete(frame.request);
    const { error } = frame.head as { readonly error?: string };
    if (error === undefined) pending?.answer(frame);
    else pending?.fail(new Error(`the service's queue answered: ${error}`));
  }
}

function closedError(): QueueClosed {
  return new QueueClosed("the connection to the service's queue has ended");
}
