import type { BatchQueue, Delivery, ReceiveOptions } from "../../services/backends/batch-queue.ts";
import type { Message } from "../../services/protocol/messages.ts";
import type { SimulatedLanes } from "./simulated-lanes.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

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
    const what = () => `send ${lane} ${messages.map((message) => nameOf(message)).join(" ")}`;
    return this.#process.call(what, async () => this.#lanes.send(lane, messages));
  }

  receive(lane: string, { messagesMax, waitSeconds }: ReceiveOptions): Promise<readonly Delivery[]> {
    const { world } = this.#lanes;
    const what = () => `receive ${lane} ${String(messagesMax)}`;
    return this.#process.call(what, async () => {
      const taken = await this.#lanes.receive(lane, messagesMax, waitSeconds * 1000, this.#process.name);
      world.tell(this.#process.name, () => `is given ${deliveryNames(taken)}`);
      return taken;
    });
  }

  extend(lane: string, receipts: readonly string[]): Promise<readonly string[]> {
    const what = () => `extend ${receipts.join(" ")}`;
    return this.#process.call(what, async () => this.#lanes.extend(lane, receipts));
  }

  ack(lane: string, receipts: readonly string[]): Promise<void> {
    const what = () => `ack ${receipts.join(" ")}`;
    return this.#process.call(what, async () => {
      this.#lanes.ack(lane, receipts, this.#process.name);
    });
  }

  release(lane: string, receipts: readonly string[]): Promise<void> {
    const what = () => `release ${receipts.join(" ")}`;
    return this.#process.call(what, async () => {
      this.#lanes.release(lane, receipts);
    });
  }

  probe(lane: string): Promise<void> {
    const what = () => `probe ${lane}`;
    return this.#process.call(what, async () => {
      this.#lanes.check(lane);
    });
  }
}

function deliveryNames(taken: readonly Delivery[]): string {
  if (taken.length === 0) return "nothing";
  return taken.map(({ message, deliveries }) => `${nameOf(message)}*${String(deliveries)}`).join(" ");
}

function nameOf(message: Message): string {
  const { job, epoch } = message;
  const what =
    message.kind === "batch"
      ? `b${String(message.batch)}/${String(message.attempt)}`
      : `hook${String(message.opening)}`;
  return `${job.slice(-5)}:e${String(epoch)}:${what}`;
}
