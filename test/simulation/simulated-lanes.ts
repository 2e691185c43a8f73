import { LaneGone, type Delivery } from "../../services/backends/batch-queue.ts";
import { decodeMessage, encodeMessage, type Message } from "../../services/protocol/messages.ts";
import { asError } from "./simulated-process.ts";
import type { World } from "./world.ts";

interface Stored {
  /** As it was sent. */
  readonly message: Message;
  readonly text: string;
  deliveries: number;
  /** Good while its lease lasts; a newer delivery has another one. */
  receipt: string;
  visibleAtMs: number;
}

interface Lane {
  readonly stored: Set<Stored>;
  /** By its newest receipt. */
  readonly receipts: Map<string, Stored>;
  /** Long polls; each looks again when it is called. */
  readonly polls: Set<() => void>;
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
  readonly #lanes = new Map<string, Lane>();
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

  /** What befalls lanes now and then; called once a second. */
  tick(): void {
    const { chance, rates, nowMs, leaseMs } = this.world;
    for (const name of this.#lanes.keys()) {
      if (this.#isGone(name) || !chance.is(rates.laneGone)) continue;
      this.world.count("lane gone");
      this.world.tell("queue", () => `${name} VANISHES`);
      const { polls } = this.#lane(name);
      this.#lanes.delete(name);
      this.#goneUntilMs.set(name, nowMs + chance.skewed(leaseMs / 2, leaseMs * 8));
      for (const look of polls) look();
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

  send(name: string, messages: readonly Message[]): readonly number[] {
    this.check(name);
    const { chance, rates, nowMs } = this.world;
    const { stored, polls } = this.#lane(name);
    const refused: number[] = [];
    for (const [index, message] of messages.entries()) {
      if (chance.is(rates.lostMessage / 2)) {
        refused.push(index);
        this.world.count("send refused");
        continue;
      }
      this.observer.sent(name, message);
      const copies = chance.is(rates.lostMessage) ? 0 : chance.is(rates.duplicate) ? 2 : 1;
      if (copies !== 1) this.world.count(copies === 0 ? "message lost" : "message doubled");
      for (let copy = 0; copy < copies; copy += 1) {
        stored.add({ message, text: this.#encode(message), deliveries: 0, receipt: "", visibleAtMs: nowMs });
      }
    }
    for (const look of polls) look();
    return refused;
  }

  /** A long poll: answers as soon as there is something, after `waitMs` with nothing. */
  receive(name: string, messagesMax: number, waitMs: number, to: string): Promise<Delivery[]> {
    const untilMs = this.world.nowMs + waitMs;
    return new Promise((resolve, reject) => {
      let over = false;
      const end = (settle: () => void) => {
        over = true;
        this.#lanes.get(name)?.polls.delete(look);
        settle();
      };
      const look = () => {
        if (over) return;
        try {
          const taken = this.#take(name, messagesMax, to);
          if (taken === undefined && this.world.nowMs < untilMs) this.#lookLater(name, look, untilMs);
          else end(() => { resolve(taken ?? []); }); // prettier-ignore
        } catch (error) {
          end(() => { reject(asError(error)); }); // prettier-ignore
        }
      };
      look();
    });
  }

  /** Again when something may have become visible, at the latest when the poll is over. */
  #lookLater(name: string, look: () => void, untilMs: number): void {
    const { stored, polls } = this.#lane(name);
    polls.add(look);
    let atMs = untilMs;
    for (const { visibleAtMs } of stored) atMs = Math.min(atMs, visibleAtMs);
    this.world.timeline.after(atMs - this.world.nowMs, look);
  }

  /** Undefined: nothing is visible. */
  #take(name: string, messagesMax: number, to: string): Delivery[] | undefined {
    this.check(name);
    const { chance, rates, nowMs, leaseMs } = this.world;
    const { stored, receipts } = this.#lane(name);
    const visible = [...stored].filter(({ visibleAtMs }) => visibleAtMs <= nowMs);
    if (visible.length === 0) return undefined;
    if (chance.is(rates.shortPoll)) {
      this.world.count("short poll");
      return [];
    }
    const taken: Delivery[] = [];
    while (visible.length > 0 && taken.length < messagesMax) {
      const [one] = visible.splice(chance.integer(0, visible.length - 1), 1);
      const message = decodeMessage(one?.text ?? "");
      if (one === undefined || message === undefined) throw new Error("a message is not what was sent");
      one.deliveries += 1;
      receipts.delete(one.receipt);
      one.receipt = `r${String((this.#receipts += 1))}`;
      receipts.set(one.receipt, one);
      one.visibleAtMs = nowMs + leaseMs;
      this.observer.delivered(name, message, to);
      taken.push({ message, receipt: one.receipt, deliveries: one.deliveries });
    }
    return taken;
  }

  extend(name: string, receipts: readonly string[]): string[] {
    this.check(name);
    const lost: string[] = [];
    for (const receipt of receipts) {
      const one = this.#leased(name, receipt);
      if (one === undefined) lost.push(receipt);
      else one.visibleAtMs = this.world.nowMs + this.world.leaseMs;
    }
    return lost;
  }

  ack(name: string, receipts: readonly string[], by: string): void {
    this.check(name);
    for (const receipt of receipts) {
      const one = this.#leased(name, receipt);
      if (one === undefined) continue;
      const lane = this.#lane(name);
      lane.stored.delete(one);
      lane.receipts.delete(receipt);
      this.observer.acked(one.message, by);
    }
  }

  release(name: string, receipts: readonly string[]): void {
    this.check(name);
    for (const receipt of receipts) {
      const one = this.#leased(name, receipt);
      if (one !== undefined) one.visibleAtMs = this.world.nowMs;
    }
    for (const look of this.#lane(name).polls) look();
  }

  #encode(message: Message): string {
    if (!this.#bare || message.kind !== "batch") return encodeMessage(message);
    this.world.count("message without spans");
    return encodeMessage({ ...message, pointer: { ...message.pointer, spans: [] } });
  }

  #leased(name: string, receipt: string): Stored | undefined {
    const one = this.#lane(name).receipts.get(receipt);
    return one !== undefined && one.visibleAtMs > this.world.nowMs ? one : undefined;
  }

  #lane(name: string): Lane {
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const lane = { stored: new Set<Stored>(), receipts: new Map<string, Stored>(), polls: new Set<() => void>() };
    this.#lanes.set(name, lane);
    return lane;
  }
}
