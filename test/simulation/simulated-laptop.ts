import { MemoryQueue } from "../../services/backends/batch-queue.memory.ts";
import { QueueClosed } from "../../services/backends/batch-queue.socket.ts";
import type { BatchQueue, Delivery, ReceiveOptions } from "../../services/backends/batch-queue.ts";
import type { Message } from "../../services/protocol/messages.ts";
import type { QueueObserver } from "./simulated-lanes.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { World } from "./world.ts";

/** One life of the service: the queue in its memory, and who waits for an answer of it. */
interface Life {
  readonly process: SimulatedProcess;
  readonly queue: MemoryQueue;
  readonly waiting: Set<() => void>;
}

/** The one service of a laptop, as its workers reach it: the real queue in its memory, which ends with it. */
export class SimulatedLaptop {
  readonly #world: World;
  readonly #observer: QueueObserver;
  #life: Life | undefined;

  constructor(world: World, observer: QueueObserver) {
    this.#world = world;
    this.#observer = observer;
  }

  /** A service begins, with an empty queue. */
  open(process: SimulatedProcess, onActivity: () => void): BatchQueue {
    const queue = new MemoryQueue({ clock: process, leaseSeconds: this.#world.leaseSeconds, onActivity });
    this.#life = { process, queue, waiting: new Set() };
    return new ServiceQueue(queue, this.#observer);
  }

  /** The service is gone: all sockets close. */
  close(): void {
    const waiting = [...(this.#life?.waiting ?? [])];
    this.#life = undefined;
    for (const closed of waiting) closed();
  }

  /** The socket of a worker, which connects now and never again. */
  connect(process: SimulatedProcess): WorkerSocket {
    return new WorkerSocket(process, this.#world.leaseSeconds, this.#observer, this.#life, () => this.#life);
  }
}

/** The queue as the service has it: its own memory. */
class ServiceQueue implements BatchQueue {
  readonly leaseSeconds: number;
  readonly #queue: MemoryQueue;
  readonly #observer: QueueObserver;

  constructor(queue: MemoryQueue, observer: QueueObserver) {
    this.leaseSeconds = queue.leaseSeconds;
    this.#queue = queue;
    this.#observer = observer;
  }

  send(lane: string, messages: readonly Message[]): Promise<readonly number[]> {
    for (const message of messages) this.#observer.sent(lane, message);
    return this.#queue.send(lane, messages);
  }

  receive(lane: string, options: ReceiveOptions): Promise<readonly Delivery[]> {
    return this.#queue.receive(lane, options);
  }

  extend(lane: string, receipts: readonly string[]): Promise<readonly string[]> {
    return this.#queue.extend(lane, receipts);
  }

  ack(lane: string, receipts: readonly string[]): Promise<void> {
    return this.#queue.ack(lane, receipts);
  }

  release(lane: string, receipts: readonly string[]): Promise<void> {
    return this.#queue.release(lane, receipts);
  }

  probe(): Promise<void> {
    return this.#queue.probe();
  }
}

/** The queue as a worker reaches it: nothing is lost on the way, and all ends when either side does. */
export class WorkerSocket implements BatchQueue {
  readonly leaseSeconds: number;
  readonly #process: SimulatedProcess;
  readonly #observer: QueueObserver;
  readonly #life: Life | undefined;
  readonly #current: () => Life | undefined;
  readonly #held = new Map<string, { readonly lane: string; readonly message: Message }>();
  readonly #end = new AbortController();

  constructor(
    process: SimulatedProcess,
    leaseSeconds: number,
    observer: QueueObserver,
    life: Life | undefined,
    current: () => Life | undefined,
  ) {
    this.leaseSeconds = leaseSeconds;
    this.#process = process;
    this.#observer = observer;
    this.#life = life;
    this.#current = current;
  }

  /** The worker's process is gone: what it held is free at once, as the service sees the socket close. */
  abandon(): void {
    this.#end.abort();
    if (this.#life === undefined || this.#current() !== this.#life) return;
    for (const [receipt, { lane }] of this.#held) void this.#life.queue.abandon(lane, [receipt]);
    this.#held.clear();
  }

  send(): Promise<readonly number[]> {
    return Promise.reject(new Error("no worker sends"));
  }

  receive(lane: string, options: ReceiveOptions): Promise<readonly Delivery[]> {
    const what = () => `receive ${lane} ${String(options.messagesMax)}`;
    return this.#ask(what, async (queue) => {
      const taken = await queue.receive(lane, { ...options, signal: this.#end.signal });
      if (this.#process.isDead) {
        for (const { receipt } of taken) await queue.abandon(lane, [receipt]);
        return [];
      }
      for (const { message, receipt } of taken) {
        this.#held.set(receipt, { lane, message });
        this.#observer.delivered(lane, message, this.#process.name);
      }
      return taken;
    });
  }

  extend(lane: string, receipts: readonly string[]): Promise<readonly string[]> {
    return this.#ask("extend", (queue) => queue.extend(lane, receipts));
  }

  ack(lane: string, receipts: readonly string[]): Promise<void> {
    return this.#ask("ack", async (queue) => {
      for (const { message } of this.#take(receipts)) this.#observer.acked(message, this.#process.name);
      await queue.ack(lane, receipts);
    });
  }

  release(lane: string, receipts: readonly string[]): Promise<void> {
    return this.#ask("release", async (queue) => {
      this.#take(receipts);
      await queue.release(lane, receipts);
    });
  }

  probe(lane: string): Promise<void> {
    return this.#ask(`probe ${lane}`, (queue) => queue.probe());
  }

  #take(receipts: readonly string[]) {
    return receipts.flatMap((receipt) => {
      const held = this.#held.get(receipt);
      this.#held.delete(receipt);
      return held ?? [];
    });
  }

  /** While the service is frozen its answer waits; when it dies there is none, ever. */
  #ask<T>(what: string | (() => string), effect: (queue: MemoryQueue) => Promise<T>): Promise<T> {
    const life = this.#life;
    return this.#process.call(what, () => {
      return new Promise<T>((resolve, reject) => {
        const closed = () => {
          reject(new QueueClosed("the connection to the service's queue has ended"));
        };
        if (life === undefined || life !== this.#current()) {
          closed();
          return;
        }
        life.waiting.add(closed);
        life.process.goOn(() => {
          effect(life.queue)
            .then(resolve, reject)
            .finally(() => life.waiting.delete(closed));
        });
      });
    });
  }
}
