import type { BatchQueue } from "../../services/backends/batch-queue.ts";
import type { ObjectStore } from "../../services/backends/object-store.ts";
import type { Between } from "../simulation/cluster-plan.ts";
import { SimulatedProcess, type ProcessOptions } from "../simulation/simulated-process.ts";
import { textOf, type Words } from "../simulation/story.ts";
import type { World } from "../simulation/world.ts";
import { FAULT_LEASES, noAnswer, refusal, type Fault, type SweptCall } from "./single-fault.ts";

/** How long a caller waits for an answer that does not come. */
const PATIENCE_MS = 1_000;

/** One fault, at the n-th call of a seam that a run makes. Without one it only writes down the calls. */
export class PlannedFault implements Between {
  /** Calls of the run so far, in their order. */
  readonly calls: SweptCall[] = [];
  readonly #at: number;
  readonly #fault: Fault | undefined;
  /** When it befell its call. */
  firedAtMs: number | undefined;

  constructor(at = -1, fault?: Fault) {
    this.#at = at;
    this.#fault = fault;
  }

  process(world: World, options: ProcessOptions): SimulatedProcess {
    return new SweptProcess(world, options, this);
  }

  store(_process: SimulatedProcess, store: ObjectStore): ObjectStore {
    return new ShortLists(store, this);
  }

  queue(process: SimulatedProcess, queue: BatchQueue): BatchQueue {
    return new HalfDone(process, queue, this);
  }

  /** A job was accepted: until then a refusal is an answer to its user. */
  get hasJob(): boolean {
    return this.calls.some(({ words }) => words.startsWith("put active/"));
  }

  /** Whether the call that comes next is the one, and the fault one of those that a seam's own answer tells. */
  isNext(fault: Fault): boolean {
    return this.#fault === fault && this.calls.length === this.#at;
  }

  /** Counts a call; answers what befalls it. */
  next(world: World, call: SweptCall): Fault | undefined {
    this.calls.push(call);
    if (this.calls.length - 1 !== this.#at) return undefined;
    this.firedAtMs = world.nowMs;
    world.tell("fault", `${this.#fault ?? "none"}: ${call.words}`);
    return this.#fault;
  }
}

/** A process whose calls go well, but for the planned one. */
class SweptProcess extends SimulatedProcess {
  protected override readonly bothTakeTime = 1 / 3;
  readonly #planned: PlannedFault;
  readonly #kind: ProcessOptions["kind"];

  constructor(world: World, options: ProcessOptions, planned: PlannedFault) {
    super(world, options);
    this.#planned = planned;
    this.#kind = options.kind;
  }

  override call<T>(what: Words, effect: () => Promise<T>): Promise<T> {
    const call = textOf(what);
    if (this.isDead || this.#kind === "client") return super.call(call, effect);
    const fault = this.#planned.next(this.world, { by: this.#kind, words: call });
    return fault === undefined ? super.call(call, effect) : this.#befall(fault, call, effect);
  }

  override look<T>(what: Words, effect: () => T): Promise<T> {
    return this.call(what, () => Promise.resolve(effect()));
  }

  #befall<T>(fault: Fault, call: string, effect: () => Promise<T>): Promise<T> {
    const { leaseMs } = this.world;
    switch (fault) {
      case "request lost":
        return this.#failsAfter(PATIENCE_MS, noAnswer(call));
      case "reply lost":
        this.#happensAfter(0, effect);
        return this.#failsAfter(PATIENCE_MS, noAnswer(call));
      case "lands late":
        this.#happensAfter(FAULT_LEASES.late * leaseMs, effect);
        return this.#failsAfter(PATIENCE_MS, noAnswer(call));
      case "slow":
        return this.#later(FAULT_LEASES.slow * leaseMs, () => super.call(call, effect));
      case "throttled":
        return this.#failsAfter(20, this.#refusal(call));
      case "hangs":
        return never();
      case "process dies before":
        this.crash(`before ${call}`);
        return never();
      case "process dies after":
        effect().then(
          () => this.crash(`after ${call}`),
          () => this.crash(`after ${call}`),
        );
        return never();
      case "frozen before":
        this.freeze(FAULT_LEASES.frozen * leaseMs);
        return this.#later(0, () => super.call(call, effect));
      case "frozen after":
        this.freeze(FAULT_LEASES.frozen * leaseMs);
        return super.call(call, effect);
      case "partial failure":
      case "short answer":
      case "doubled":
        return super.call(call, effect); // what it means was told to the seam
    }
  }

  /** Where a refusal is an answer (to a submission), or costs a batch the last of its attempts (data), there is none. */
  #refusal(call: string): Error {
    const isAnswer = !this.#planned.hasJob || (this.#kind === "worker" && call.includes("s3://"));
    return isAnswer ? noAnswer(call) : refusal(call);
  }

  #failsAfter(milliseconds: number, error: Error): Promise<never> {
    return new Promise((_, reject) => {
      this.#after(milliseconds, () => reject(error));
    });
  }

  /** Whether the process lives or not. */
  #happensAfter(milliseconds: number, effect: () => Promise<unknown>): void {
    this.world.timeline.after(milliseconds, () => {
      this.world.tell(this.name, "(it happens)");
      effect().catch(() => undefined); // nobody hears of it
    });
  }

  #later<T>(milliseconds: number, call: () => Promise<T>): Promise<T> {
    return new Promise((resolve) => {
      this.#after(milliseconds, () => resolve(call()));
    });
  }

  #after(milliseconds: number, step: () => void): void {
    this.world.timeline.after(milliseconds, () => {
      this.goOn(step);
    });
  }
}

/** Lists whose page ends early. */
class ShortLists implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #planned: PlannedFault;
  readonly appendsMax?: number;

  constructor(store: ObjectStore, planned: PlannedFault) {
    this.#store = store;
    this.#planned = planned;
    if (store.appendsMax !== undefined) this.appendsMax = store.appendsMax;
  }

  list: ObjectStore["list"] = (prefix, options) => {
    return this.#store.list(prefix, this.#planned.isNext("short answer") ? { ...options, limit: 1 } : options);
  };
  put: ObjectStore["put"] = (...given) => this.#store.put(...given);
  get: ObjectStore["get"] = (...given) => this.#store.get(...given);
  size: ObjectStore["size"] = (...given) => this.#store.size(...given);
  read: ObjectStore["read"] = (...given) => this.#store.read(...given);
  swap: ObjectStore["swap"] = (...given) => this.#store.swap(...given);
  append: ObjectStore["append"] = (...given) => this.#store.append(...given);
  sync: ObjectStore["sync"] = (...given) => this.#store.sync(...given);
  folders: ObjectStore["folders"] = (...given) => this.#store.folders(...given);
  delete: ObjectStore["delete"] = (...given) => this.#store.delete(...given);
  now: ObjectStore["now"] = () => this.#store.now();
}

/** Requests of several entries, half of which are done; polls that overlook what is there. */
class HalfDone implements BatchQueue {
  readonly leaseSeconds: number;
  readonly #process: SimulatedProcess;
  readonly #queue: BatchQueue;
  readonly #planned: PlannedFault;

  constructor(process: SimulatedProcess, queue: BatchQueue, planned: PlannedFault) {
    this.leaseSeconds = queue.leaseSeconds;
    this.#process = process;
    this.#queue = queue;
    this.#planned = planned;
  }

  send: BatchQueue["send"] = async (lane, messages) => {
    if (this.#planned.isNext("doubled")) return this.#queue.send(lane, messages.flatMap((message) => [message, message])); // prettier-ignore
    if (!this.#planned.isNext("partial failure")) return this.#queue.send(lane, messages);
    const half = firstHalf(messages);
    const refused = await this.#queue.send(lane, half);
    return [...refused, ...messages.slice(half.length).map((_, index) => half.length + index)];
  };

  receive: BatchQueue["receive"] = (lane, options) => {
    if (!this.#planned.isNext("short answer")) return this.#queue.receive(lane, options);
    return this.#process.call(`receive ${lane} nothing`, () => Promise.resolve([]));
  };

  extend: BatchQueue["extend"] = async (lane, receipts) => {
    if (!this.#planned.isNext("partial failure")) return this.#queue.extend(lane, receipts);
    const half = firstHalf(receipts);
    return [...(await this.#queue.extend(lane, half)), ...receipts.slice(half.length)];
  };

  ack: BatchQueue["ack"] = async (lane, receipts) => {
    if (!this.#planned.isNext("partial failure")) return this.#queue.ack(lane, receipts);
    await this.#queue.ack(lane, firstHalf(receipts));
    throw refusal(`ack ${lane}`);
  };

  release: BatchQueue["release"] = async (lane, receipts) => {
    if (!this.#planned.isNext("partial failure")) return this.#queue.release(lane, receipts);
    await this.#queue.release(lane, firstHalf(receipts));
    throw refusal(`release ${lane}`);
  };

  probe: BatchQueue["probe"] = (lane) => this.#queue.probe(lane);
}

/** Of a single one, none. */
function firstHalf<T>(entries: readonly T[]): readonly T[] {
  return entries.slice(0, Math.floor(entries.length / 2));
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}
