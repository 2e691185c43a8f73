import { LaneGone, type BatchQueue, type Delivery, type ReceiveOptions } from "../../services/backends/batch-queue.ts";
import { decodeMessage, encodeMessage, type Message } from "../../services/protocol/messages.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { World } from "./world.ts";

interface Stored {
  readonly text: string;
  deliveries: number;
  /** Good while its lease lasts; a newer delivery has another one. */
  receipt: string;
  visibleAtMs: number;
}

/** Hears what the queue does; only observers know all of it. */
export interface QueueObserver {
  sent(lane: string, message: Message): void;
  delivered(lane: string, message: Message, to: string): void;
  acked(message: Message, by: string): void;
}

/** Lanes in the manner of SQS: at least once, in no order, leased; with faults, messages doubled, lost and not found, lanes gone. */
export class SimulatedLanes {
  readonly world: World;
  readonly observer: QueueObserver;
  readonly #lanes = new Map<string, Set<Stored>>();
  /** Lanes that are not there, and when they come back. */
  readonly #goneUntilMs = new Map<string, number>();
  #receipts = 0;

  /** No message carries its spans, as if they were too long: workers read split files. */
  readonly #bare: boolean;

  constructor(world: World, observer: QueueObserver, bare: boolean) {
    this.world = world;
    this.observer = observer;
    this.#bare = bare;
  }

  /** What a service's death takes along when its queue is its own memory. */
  forget(): void {
    this.#lanes.clear();
  }

  /** What befalls lanes now and then; called once a second. */
  tick(): void {
    const { chance, rates, nowMs, leaseMs } = this.world;
    for (const lane of this.#lanes.keys()) {
      if (this.#isGone(lane) || !chance.is(rates.laneGone)) continue;
      this.world.count("lane gone");
      this.world.tell("queue", `${lane} VANISHES`);
      this.#lanes.set(lane, new Set());
      this.#goneUntilMs.set(lane, nowMs + chance.skewed(leaseMs / 2, leaseMs * 8));
    }
  }

  /** All lanes are there again. */
  restore(): void {
    this.#goneUntilMs.clear();
  }

  /** Throws `LaneGone` while the lane is not there. */
  check(lane: string): void {
    if (!this.#isGone(lane)) return;
    this.world.count("call of a lane that is gone");
    throw new LaneGone(`lane ${lane} has no queue`);
  }

  #isGone(lane: string): boolean {
    return (this.#goneUntilMs.get(lane) ?? 0) > this.world.nowMs;
  }

  send(lane: string, messages: readonly Message[]): readonly number[] {
    this.check(lane);
    const { chance, rates, nowMs } = this.world;
    const refused: number[] = [];
    for (const [index, message] of messages.entries()) {
      if (chance.is(rates.lostMessage / 2)) {
        refused.push(index);
        this.world.count("send refused");
        continue;
      }
      this.observer.sent(lane, message);
      const copies = chance.is(rates.lostMessage) ? 0 : chance.is(rates.duplicate) ? 2 : 1;
      if (copies !== 1) this.world.count(copies === 0 ? "message lost" : "message doubled");
      for (let copy = 0; copy < copies; copy += 1) {
        this.#lane(lane).add({ text: this.#encode(message), deliveries: 0, receipt: "", visibleAtMs: nowMs });
      }
    }
    return refused;
  }

  take(lane: string, messagesMax: number, to: string): Delivery[] {
    this.check(lane);
    const { chance, rates, nowMs, leaseMs } = this.world;
    const visible = [...this.#lane(lane)].filter(({ visibleAtMs }) => visibleAtMs <= nowMs);
    if (visible.length > 0 && chance.is(rates.shortPoll)) {
      this.world.count("short poll");
      return [];
    }
    const taken: Delivery[] = [];
    while (visible.length > 0 && taken.length < messagesMax) {
      const [stored] = visible.splice(chance.integer(0, visible.length - 1), 1);
      const message = decodeMessage(stored?.text ?? "");
      if (stored === undefined || message === undefined) break;
      stored.deliveries += 1;
      stored.receipt = `r${String((this.#receipts += 1))}`;
      stored.visibleAtMs = nowMs + leaseMs;
      this.observer.delivered(lane, message, to);
      taken.push({ message, receipt: stored.receipt, deliveries: stored.deliveries });
    }
    return taken;
  }

  extend(lane: string, receipts: readonly string[]): string[] {
    this.check(lane);
    const lost: string[] = [];
    for (const receipt of receipts) {
      const stored = this.#leased(lane, receipt);
      if (stored === undefined) lost.push(receipt);
      else stored.visibleAtMs = this.world.nowMs + this.world.leaseMs;
    }
    return lost;
  }

  ack(lane: string, receipts: readonly string[], by: string): void {
    this.check(lane);
    for (const receipt of receipts) {
      const stored = this.#leased(lane, receipt);
      const message = decodeMessage(stored?.text ?? "");
      if (stored === undefined || message === undefined) continue;
      this.#lane(lane).delete(stored);
      this.observer.acked(message, by);
    }
  }

  release(lane: string, receipts: readonly string[]): void {
    this.check(lane);
    for (const receipt of receipts) {
      const stored = this.#leased(lane, receipt);
      if (stored !== undefined) stored.visibleAtMs = this.world.nowMs;
    }
  }

  #encode(message: Message): string {
    if (!this.#bare || message.kind !== "batch") return encodeMessage(message);
    this.world.count("message without spans");
    return encodeMessage({ ...message, pointer: { ...message.pointer, spans: [] } });
  }

  #leased(lane: string, receipt: string): Stored | undefined {
    for (const stored of this.#lane(lane)) {
      if (stored.receipt === receipt && stored.visibleAtMs > this.world.nowMs) return stored;
    }
    return undefined;
  }

  #lane(name: string): Set<Stored> {
    const known = this.#lanes.get(name) ?? new Set<Stored>();
    this.#lanes.set(name, known);
    return known;
  }
}

/** How often a long poll looks; no less often than anything else happens here. */
const LOOK_MS = 50;

/** The lanes, as one process reaches them. */
export class SimulatedQueue implements BatchQueue {
  readonly leaseSeconds: number;
  readonly #process: SimulatedProcess;
  readonly #lanes: SimulatedLanes;

  constructor(process: SimulatedProcess, lanes: SimulatedLanes) {
    this.leaseSeconds = lanes.world.leaseSeconds;
    this.#process = process;
    this.#lanes = lanes;
  }

  send(lane: string, messages: readonly Message[]): Promise<readonly number[]> {
    const what = messages.map((message) => nameOf(message)).join(" ");
    return this.#process.call(`send ${lane} ${what}`, async () => this.#lanes.send(lane, messages));
  }

  receive(lane: string, { messagesMax, waitSeconds }: ReceiveOptions): Promise<readonly Delivery[]> {
    const { world } = this.#lanes;
    return this.#process.call(`receive ${lane} ${String(messagesMax)}`, () => {
      const untilMs = world.nowMs + waitSeconds * 1000;
      return new Promise((resolve, reject) => {
        const look = () => {
          let taken: Delivery[];
          try {
            taken = this.#lanes.take(lane, messagesMax, this.#process.name);
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)));
            return;
          }
          if (taken.length === 0 && world.nowMs < untilMs) {
            world.timeline.after(LOOK_MS, look);
            return;
          }
          const what = taken.map(({ message, deliveries }) => `${nameOf(message)}*${String(deliveries)}`).join(" ");
          world.tell(this.#process.name, `is given ${what === "" ? "nothing" : what}`);
          resolve(taken);
        };
        look();
      });
    });
  }

  extend(lane: string, receipts: readonly string[]): Promise<readonly string[]> {
    return this.#process.call(`extend ${receipts.join(" ")}`, async () => this.#lanes.extend(lane, receipts));
  }

  ack(lane: string, receipts: readonly string[]): Promise<void> {
    return this.#process.call(`ack ${receipts.join(" ")}`, async () => {
      this.#lanes.ack(lane, receipts, this.#process.name);
    });
  }

  release(lane: string, receipts: readonly string[]): Promise<void> {
    return this.#process.call(`release ${receipts.join(" ")}`, async () => this.#lanes.release(lane, receipts));
  }

  probe(lane: string): Promise<void> {
    return this.#process.call(`probe ${lane}`, async () => {
      this.#lanes.check(lane);
    });
  }
}

function nameOf(message: Message): string {
  const { job, epoch } = message;
  const what =
    message.kind === "batch"
      ? `b${String(message.batch)}/${String(message.attempt)}`
      : `hook${String(message.opening)}`;
  return `${job.slice(-5)}:e${String(epoch)}:${what}`;
}
