import type { Message } from "../protocol/messages.ts";
import type { Delivery } from "./batch-queue.ts";
import type { CancellableQueue, CancellableReceiveOptions, LaneActivity } from "./cancellable-queue.ts";
import { MemoryLane } from "./batch-queue.memory-lane.ts";
import type { Clock } from "./clock.ts";

export interface MemoryQueueOptions {
  readonly clock: Clock;
  /** Seconds; default 60. */
  readonly leaseSeconds?: number;
  /** Told at once and in line, so that a driver need not wait for its next tick. Must not throw. */
  readonly onActivity?: (lane: string, activity: LaneActivity) => void;
}

/**
 * The laptop's queue: lanes in this process's memory, made when they are first named. It forgets all when the process
 * ends, which is allowed (see `BatchQueue`). About 20 bytes per message that was never delivered, no timer per message.
 *
 *     const queue = new MemoryQueue({ clock: realClock });
 *     await queue.send(0, messages);
 *     const deliveries = await queue.receive(0, { messagesMax: 100, waitSeconds: 20 });
 */
export class MemoryQueue implements CancellableQueue {
  readonly leaseSeconds: number;
  private readonly clock: Clock;
  private readonly onActivity: (lane: string, activity: LaneActivity) => void;
  private readonly lanes = new Map<string, MemoryLane>();

  constructor({ clock, leaseSeconds = 60, onActivity = () => undefined }: MemoryQueueOptions) {
    if (!(leaseSeconds > 0)) throw new RangeError(`leaseSeconds is ${String(leaseSeconds)}: it must be more than 0`);
    this.clock = clock;
    this.leaseSeconds = leaseSeconds;
    this.onActivity = onActivity;
  }

  send(lane: string, messages: readonly Message[]): Promise<readonly number[]> {
    this.lane(lane).send(messages);
    return Promise.resolve([]);
  }

  receive(lane: string, options: CancellableReceiveOptions): Promise<readonly Delivery[]> {
    if (!(options.messagesMax >= 1)) {
      return Promise.reject(new RangeError(`messagesMax is ${String(options.messagesMax)}: it must be at least 1`));
    }
    return this.lane(lane).receive(options);
  }

  extend(lane: string, receipts: readonly string[]): Promise<readonly string[]> {
    return Promise.resolve(this.lane(lane).extend(receipts));
  }

  ack(lane: string, receipts: readonly string[]): Promise<void> {
    this.lane(lane).ack(receipts);
    return Promise.resolve();
  }

  release(lane: string, receipts: readonly string[]): Promise<void> {
    this.lane(lane).release(receipts, true);
    return Promise.resolve();
  }

  abandon(lane: string, receipts: readonly string[]): Promise<void> {
    this.lane(lane).release(receipts, false);
    return Promise.resolve();
  }

  probe(): Promise<void> {
    return Promise.resolve();
  }

  private lane(name: string): MemoryLane {
    const known = this.lanes.get(name);
    if (known !== undefined) return known;
    const leaseMilliseconds = 1000 * this.leaseSeconds;
    const onActivity = (activity: LaneActivity) => {
      this.onActivity(name, activity);
    };
    const lane = new MemoryLane({ clock: this.clock, leaseMilliseconds, onActivity });
    this.lanes.set(name, lane);
    return lane;
  }
}
