import type { Message } from "../protocol/messages.ts";
import type { Delivery } from "./batch-queue.ts";
import type { CancellableReceiveOptions, LaneActivity } from "./cancellable-queue.ts";
import type { Clock } from "./clock.ts";
import { MessagePack } from "./packed-messages.ts";

/** A pack is left alone beyond this size and the next one begun; it is freed when its last message is acked. */
const PACK_BYTES = 64 * 1024 - 512;

/** A message that was delivered at least once. */
interface Delivered {
  readonly pack: MessagePack;
  readonly offset: number;
  /** Receives so far. */
  deliveries: number;
  /** On the monotonic clock. */
  expiresAtMilliseconds: number;
}

interface Waiter {
  readonly messagesMax: number;
  readonly untilMilliseconds: number;
  readonly answer: (deliveries: readonly Delivery[]) => void;
}

interface MemoryLaneOptions {
  readonly clock: Clock;
  readonly leaseMilliseconds: number;
  readonly onActivity: (activity: LaneActivity) => void;
}

/**
 * One lane of a `MemoryQueue`. Waiting messages are packed bytes; delivered ones are small objects. All leases are
 * equally long, so a map in the order of their grants and renewals is also in the order of their ends: expiry looks at its
 * front only. There is one timer, and only while somebody waits.
 */
export class MemoryLane {
  private readonly clock: Clock;
  private readonly leaseMilliseconds: number;
  private readonly onActivity: (activity: LaneActivity) => void;

  /** Never delivered, oldest first: from `freshOffset` of the first pack to the end of the last one. */
  private fresh: MessagePack[] = [];
  private freshOffset = 0;
  private freshMessages = 0;
  /** Handed back or expired: delivered again before the fresh ones. Used from `againStart` on. */
  private again: Delivered[] = [];
  private againStart = 0;
  /** By receipt, in the order of their ends. */
  private readonly leases = new Map<string, Delivered>();
  private receipts = 0;
  /** The highest that was sent. */
  private epoch = 0;
  /** Polls, in the order in which they came; only while nothing is visible. */
  private readonly waiters = new Set<Waiter>();
  private timer: { readonly atMilliseconds: number; readonly stop: AbortController } | undefined;

  constructor(options: MemoryLaneOptions) {
    this.clock = options.clock;
    this.leaseMilliseconds = options.leaseMilliseconds;
    this.onActivity = options.onActivity;
  }

  send(messages: readonly Message[]): void {
    let pack = this.fresh.at(-1);
    for (const message of messages) {
      if (message.epoch > this.epoch) {
        this.dropLeftovers();
        this.epoch = message.epoch;
        pack = undefined;
      }
      if (pack === undefined || pack.length >= PACK_BYTES) {
        pack?.seal();
        pack = new MessagePack();
        this.fresh.push(pack);
      }
      pack.append(message);
      this.freshMessages += 1;
    }
    this.serve();
  }

  receive({ messagesMax, waitSeconds, signal }: CancellableReceiveOptions): Promise<readonly Delivery[]> {
    this.expire();
    if (this.visible > 0) return Promise.resolve(this.take(messagesMax));
    if (!(waitSeconds > 0) || signal?.aborted === true) {
      this.onActivity("empty");
      return Promise.resolve([]);
    }
    const waiting = new Promise<readonly Delivery[]>((resolve) => {
      const untilMilliseconds = this.clock.monotonicMs() + 1000 * waitSeconds;
      const giveUp = () => {
        this.waiters.delete(waiter);
        this.arm();
        resolve([]);
      };
      const waiter: Waiter = {
        messagesMax,
        untilMilliseconds,
        answer: (deliveries) => {
          signal?.removeEventListener("abort", giveUp);
          resolve(deliveries);
        },
      };
      signal?.addEventListener("abort", giveUp, { once: true });
      this.waiters.add(waiter);
      this.arm();
    });
    this.onActivity("waiting");
    return waiting;
  }

  extend(receipts: readonly string[]): readonly string[] {
    this.expire();
    const expiresAtMilliseconds = this.clock.monotonicMs() + this.leaseMilliseconds;
    const lost: string[] = [];
    for (const receipt of receipts) {
      const delivered = this.leases.get(receipt);
      if (delivered === undefined) {
        lost.push(receipt);
        continue;
      }
      delivered.expiresAtMilliseconds = expiresAtMilliseconds;
      this.leases.delete(receipt); // to the end of the order
      this.leases.set(receipt, delivered);
    }
    return lost;
  }

  ack(receipts: readonly string[]): void {
    this.expire();
    for (const receipt of receipts) this.leases.delete(receipt);
    this.onActivity("acked");
  }

  /** `unrun`: handed back by its holder, so that this delivery does not count; else its holder is gone. */
  release(receipts: readonly string[], unrun: boolean): void {
    this.expire();
    for (const receipt of receipts) {
      const delivered = this.leases.get(receipt);
      if (delivered === undefined) continue;
      this.leases.delete(receipt);
      if (unrun) delivered.deliveries -= 1;
      this.again.push(delivered);
    }
    this.serve();
    this.onActivity("released");
  }

  /** What waits is of a former epoch: the lane's next workers would only ack it, one by one while their hands are small. */
  private dropLeftovers(): void {
    this.fresh = [];
    this.freshOffset = 0;
    this.freshMessages = 0;
    this.again = [];
    this.againStart = 0;
  }

  private get visible(): number {
    return this.freshMessages + this.again.length - this.againStart;
  }

  private take(messagesMax: number): readonly Delivery[] {
    const expiresAtMilliseconds = this.clock.monotonicMs() + this.leaseMilliseconds;
    const deliveries: Delivery[] = [];
    while (deliveries.length < messagesMax) {
      let message: Message;
      let delivered = this.nextAgain();
      if (delivered !== undefined) message = delivered.pack.read(delivered.offset);
      else {
        const pack = this.fresh[0];
        if (this.freshMessages === 0 || pack === undefined) break;
        delivered = { pack, offset: this.freshOffset, deliveries: 0, expiresAtMilliseconds };
        message = this.readFresh(pack);
      }
      delivered.deliveries += 1;
      delivered.expiresAtMilliseconds = expiresAtMilliseconds;
      const receipt = String(this.receipts++);
      this.leases.set(receipt, delivered);
      deliveries.push({ message, receipt, deliveries: delivered.deliveries });
    }
    return deliveries;
  }

  private nextAgain(): Delivered | undefined {
    const delivered = this.again[this.againStart];
    if (delivered === undefined) return undefined;
    this.againStart += 1;
    if (2 * this.againStart >= this.again.length) {
      this.again = this.again.slice(this.againStart);
      this.againStart = 0;
    }
    return delivered;
  }

  private readFresh(pack: MessagePack): Message {
    const message = pack.read(this.freshOffset);
    this.freshMessages -= 1;
    this.freshOffset = pack.next;
    if (pack.next >= PACK_BYTES && pack.next === pack.length) {
      this.fresh.shift(); // its messages hold it for as long as they need it
      this.freshOffset = 0;
    }
    return message;
  }

  /** Gives what is visible to those who wait, to each its share. */
  private serve(): void {
    for (const waiter of this.waiters) {
      if (this.visible === 0) break;
      const share = Math.ceil(this.visible / this.waiters.size);
      this.waiters.delete(waiter);
      waiter.answer(this.take(Math.min(waiter.messagesMax, share)));
    }
    this.arm();
  }

  private expire(): void {
    const now = this.clock.monotonicMs();
    let expired = 0;
    for (const [receipt, delivered] of this.leases) {
      if (delivered.expiresAtMilliseconds > now) break;
      this.leases.delete(receipt);
      this.again.push(delivered);
      expired += 1;
    }
    if (expired === 0) return;
    this.serve();
    this.onActivity("expired");
  }

  /** Keeps the one timer at the next moment at which a waiter must hear something. */
  private arm(): void {
    const atMilliseconds = this.nextEvent();
    if (atMilliseconds === undefined) {
      this.timer?.stop.abort();
      this.timer = undefined;
      return;
    }
    if (this.timer !== undefined && this.timer.atMilliseconds <= atMilliseconds) return; // it looks again when it rings
    this.timer?.stop.abort();
    const timer = { atMilliseconds, stop: new AbortController() };
    this.timer = timer;
    this.clock.sleep(Math.max(0, atMilliseconds - this.clock.monotonicMs()), timer.stop.signal).then(
      () => {
        if (this.timer === timer) this.ring();
      },
      () => undefined, // stopped: nobody waits any more, or an earlier timer took its place
    );
  }

  private ring(): void {
    this.timer = undefined;
    this.expire();
    const now = this.clock.monotonicMs();
    for (const waiter of this.waiters) {
      if (waiter.untilMilliseconds > now) continue;
      this.waiters.delete(waiter);
      waiter.answer([]);
      this.onActivity("empty");
    }
    this.arm();
  }

  private nextEvent(): number | undefined {
    if (this.waiters.size === 0) return undefined;
    let earliest = Infinity;
    for (const { untilMilliseconds } of this.waiters) earliest = Math.min(earliest, untilMilliseconds);
    for (const { expiresAtMilliseconds } of this.leases.values()) return Math.min(earliest, expiresAtMilliseconds);
    return earliest;
  }
}
