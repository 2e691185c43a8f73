/** A runner over a watched world, with handlers whose answers a test gives. */
import { jobKeys } from "../../services/protocol/keys.ts";
import type { LedgerLine } from "../../services/protocol/ledger.ts";
import { parseLines } from "../../services/protocol/ledger.parse.ts";
import type { WorkerDeps } from "../../services/worker/context.ts";
import { Hand } from "../../services/worker/hand.ts";
import { HandlerStartFailed } from "../../services/worker/handlers/handler.ts";
import { PayloadReader } from "../../services/worker/payload-reader.ts";
import { Runner } from "../../services/worker/runner.ts";
import { Settler } from "../../services/worker/settler.ts";
import { anIdentity, aOneItemMessage } from "./a-worker.ts";
import { aJobSpec } from "./builders.ts";
import { FakeHandler } from "./fake-handler.ts";
import { MemoryDataset } from "./memory-dataset.ts";
import { WatchedWorld } from "./watched-world.ts";

export const PACE = {
  pollSeconds: 0.5,
  laneReadSeconds: 0.1,
  flushSeconds: 0.004,
  flushSecondsPerWorker: 0,
  drainSeconds: 20,
};

/** Dependencies over a world in which batches 0 to 9 have one staged item each; see `aOneItemMessage`. */
export function workerDeps(world: WatchedWorld, over: Partial<WorkerDeps> = {}): WorkerDeps {
  return {
    identity: anIdentity(),
    spec: aJobSpec(),
    processes: 1,
    store: world.store,
    queue: world.queue,
    dataset: new MemoryDataset(),
    clock: world.clock,
    random: { hex: (bytes) => "0".repeat(2 * bytes), fraction: () => 0.5 },
    pace: PACE,
    startHandler: () => Promise.reject(new Error("no handler in this test")),
    say: () => undefined,
    ...over,
  };
}

export class RunnerBench {
  readonly world = new WatchedWorld();
  readonly hand = new Hand();
  /** All handlers ever started, in order. */
  readonly handlers: FakeHandler[] = [];
  readonly sick: HandlerStartFailed[] = [];
  readonly broken: unknown[] = [];
  /** Starts that fail from now on, and how many were tried. */
  startsFail = false;
  starts = 0;
  mayStart: () => Promise<boolean> = () => Promise.resolve(true);
  readonly settler: Settler;
  readonly runner: Runner;

  constructor(over: Partial<WorkerDeps> = {}) {
    const deps = workerDeps(this.world, { startHandler: () => this.#startHandler(), ...over });
    this.settler = new Settler({ ...deps, flushMs: 0 }, deps.identity);
    this.runner = new Runner(deps, {
      hand: this.hand,
      reader: new PayloadReader(deps.store, deps.dataset),
      settler: this.settler,
      doubts: { ended: (_, charge) => { charge(); }, mayBegin: () => true }, // prettier-ignore
      onSettled: () => void this.settler.flushSoon(),
      onSick: (error) => this.sick.push(error),
      onBroken: (error) => this.broken.push(error),
      mayStart: () => this.mayStart(),
    });
  }

  /** Its handlers are up. */
  static async started(over: Partial<WorkerDeps> = {}): Promise<RunnerBench> {
    const bench = new RunnerBench(over);
    await bench.world.memory.put("items", Buffer.from("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n"));
    await bench.runner.start(new AbortController().signal);
    return bench;
  }

  /** The newest handler. */
  get handler(): FakeHandler {
    const handler = this.handlers.at(-1);
    if (handler === undefined) throw new Error("no handler was started");
    return handler;
  }

  /** Gives it pointers, and waits until it has done with them what it can. */
  async take(batches: readonly number[], alone = false): Promise<void> {
    const held = batches.map((batch) => {
      return this.hand.take({ message: aOneItemMessage(batch), receipt: `r${String(batch)}`, deliveries: 1 }, alone);
    });
    this.runner.took(held);
    await this.settle();
  }

  /** The first batch in the pipe ends after so many milliseconds. */
  async answer(afterMs = 0, answer?: Parameters<FakeHandler["answer"]>[0], handler = this.handler): Promise<void> {
    await this.world.clock.advance(afterMs);
    handler.answer(answer);
    await this.settle();
  }

  /** All lines of the worker's ledger. */
  async ledger(): Promise<LedgerLine[]> {
    const { api, job, name } = anIdentity();
    const found = await this.world.memory.get(jobKeys(api, job).ledger(name, 0));
    return found === undefined ? [] : [...parseLines<LedgerLine>(found.bytes).lines];
  }

  async outcomes() {
    return (await this.ledger()).flatMap((line) => (line.t === "outcome" ? [line] : []));
  }

  async settle(): Promise<void> {
    for (let turns = 0; turns < 5; turns += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  #startHandler() {
    this.starts += 1;
    if (this.startsFail) return Promise.reject(new HandlerStartFailed("no module named numpy", "Traceback"));
    const handler = new FakeHandler();
    this.handlers.push(handler);
    return Promise.resolve({ handler, ready: { hook: true } });
  }
}
