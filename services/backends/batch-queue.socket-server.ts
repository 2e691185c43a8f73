import { once } from "node:events";
import { rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import type { CancellableQueue } from "./cancellable-queue.ts";
import { QueueRequestError, readHello, readRequest, type QueueRequest, type WorkerHello } from "./queue-wire.ts";
import { packDeliveries, unpackMessages } from "./queue-wire.ts";
import { QueueFrameReader, writeQueueFrame, type QueueFrame } from "./queue-frames.ts";
import { listenAlone } from "./service-socket.ts";

/** Requests of one connection that may be in work; more are not read before one of them is answered. */
const REQUESTS_MAX = 256;

/** One answer carries no more messages, whatever was asked. */
const MESSAGES_MAX = 100_000;

export interface ServeQueueOptions {
  /** Path of the socket; see `serviceSocketPath`. */
  readonly path: string;
  readonly queue: CancellableQueue;
  /** A worker said hello. */
  readonly onWorker?: (hello: WorkerHello) => void;
  /** Its connection ended: it died, or it left. What it held is visible again already. */
  readonly onWorkerGone?: (hello: WorkerHello) => void;
}

export interface QueueServer {
  /** Ends all connections and removes the socket. */
  close(): Promise<void>;
}

/**
 * Serves a queue to this machine's workers. Throws `ServiceRunning` when another process serves that path. A connection
 * that says what it should not is ended; all that it leased and did not ack is released when it ends, however it ends.
 */
export async function serveQueue(options: ServeQueueOptions): Promise<QueueServer> {
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    new WorkerConnection(socket, options);
  });
  await listenAlone(server, options.path);
  return {
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const socket of connections) socket.destroy();
      await closed;
      await rm(options.path, { force: true });
    },
  };
}

/** One worker's connection: its hello, its requests, and what it holds. */
class WorkerConnection {
  private readonly socket: Socket;
  private readonly options: ServeQueueOptions;
  private readonly frames = new QueueFrameReader();
  private readonly ended = new AbortController();
  private hello: WorkerHello | undefined;
  private inWork = 0;
  /** Receipts by lane that it did not ack or release yet. */
  private readonly held = new Map<string, Set<string>>();

  constructor(socket: Socket, options: ServeQueueOptions) {
    this.socket = socket;
    this.options = options;
    socket.on("data", (chunk) => {
      this.read(chunk);
    });
    socket.on("drain", () => {
      this.resumeWhenIdle();
    });
    socket.on("error", () => undefined); // `close` follows and is what counts
    socket.on("close", () => {
      this.end();
    });
  }

  private read(chunk: Buffer): void {
    try {
      for (const frame of this.frames.push(chunk)) this.take(frame);
    } catch {
      this.socket.destroy(); // not a worker of ours, or a broken one: nothing that it says can be trusted any more
    }
  }

  private take(frame: QueueFrame): void {
    if (this.hello === undefined) {
      this.hello = readHello(frame.head);
      writeQueueFrame(this.socket, frame.request, { leaseSeconds: this.options.queue.leaseSeconds });
      this.options.onWorker?.(this.hello);
      return;
    }
    const request = readRequest(frame.head);
    this.inWork += 1;
    if (this.inWork >= REQUESTS_MAX) this.socket.pause();
    this.answer(frame, request)
      .catch((error: unknown) => {
        if (error instanceof QueueRequestError) this.socket.destroy();
        else writeQueueFrame(this.socket, frame.request, { error: error instanceof Error ? error.message : "unknown" });
      })
      .finally(() => {
        this.inWork -= 1;
        this.resumeWhenIdle();
      });
  }

  private async answer(frame: QueueFrame, request: QueueRequest): Promise<void> {
    const { queue } = this.options;
    if (request.op === "receive") {
      const { lane, waitSeconds } = request;
      const messagesMax = Math.min(request.messagesMax, MESSAGES_MAX);
      const deliveries = await queue.receive(lane, { messagesMax, waitSeconds, signal: this.ended.signal });
      const held = this.heldIn(lane);
      for (const { receipt } of deliveries) held.add(receipt);
      if (this.ended.signal.aborted) return this.releaseAll(); // it ended while the answer was on its way
      const { head, body, rest } = packDeliveries(deliveries);
      if (rest.length > 0)
        await this.handBack(
          lane,
          rest.map(({ receipt }) => receipt),
        );
      this.write(frame.request, head, body);
    } else if (request.op === "send") {
      this.write(frame.request, { rest: await queue.send(request.lane, unpackMessages(request.tables, frame.body)) });
    } else if (request.op === "extend") {
      const lost = await queue.extend(request.lane, request.receipts);
      this.drop(request.lane, lost);
      this.write(frame.request, { lost });
    } else if (request.op === "probe") {
      await queue.probe(request.lane);
      this.write(frame.request, {});
    } else if (request.op === "release") {
      await this.handBack(request.lane, request.receipts);
      this.write(frame.request, {});
    } else {
      this.drop(request.lane, request.receipts);
      await queue.ack(request.lane, request.receipts);
      this.write(frame.request, {});
    }
  }

  private async handBack(lane: string, receipts: readonly string[]): Promise<void> {
    this.drop(lane, receipts);
    await this.options.queue.release(lane, receipts);
  }

  private write(request: number, head: unknown, body?: Buffer): void {
    if (this.ended.signal.aborted) return;
    if (!writeQueueFrame(this.socket, request, head, body)) this.socket.pause(); // a reader that lags gets no more answers
  }

  private resumeWhenIdle(): void {
    if (this.inWork < REQUESTS_MAX && !this.socket.writableNeedDrain) this.socket.resume();
  }

  private heldIn(lane: string): Set<string> {
    const known = this.held.get(lane);
    if (known !== undefined) return known;
    const held = new Set<string>();
    this.held.set(lane, held);
    return held;
  }

  private drop(lane: string, receipts: readonly string[]): void {
    const held = this.held.get(lane);
    if (held !== undefined) for (const receipt of receipts) held.delete(receipt);
  }

  private async releaseAll(): Promise<void> {
    for (const [lane, held] of this.held) {
      this.held.delete(lane);
      await this.options.queue.abandon(lane, [...held]);
    }
  }

  private end(): void {
    this.ended.abort();
    const { hello } = this;
    this.releaseAll().then(
      () => {
        if (hello !== undefined) this.options.onWorkerGone?.(hello);
      },
      () => undefined, // the queue is going down with us; leases end by themselves
    );
  }
}
