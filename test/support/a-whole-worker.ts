/** A whole worker over a watched world: its lane record, its messages and its handlers' answers are the test's. */
import { apiKeys, jobKeys } from "../../services/protocol/keys.ts";
import { EMPTY_LANE, type LaneRecord } from "../../services/protocol/lanes.ts";
import type { LedgerLine } from "../../services/protocol/ledger.ts";
import { parseLines } from "../../services/protocol/ledger.parse.ts";
import type { Message } from "../../services/protocol/messages.ts";
import type { WorkerDeps } from "../../services/worker/context.ts";
import { type HandlerStartFailed, type Ready } from "../../services/worker/handlers/handler.ts";
import { Worker } from "../../services/worker/worker.ts";
import { workerDeps } from "./a-runner.ts";
import { anIdentity } from "./a-worker.ts";
import { FakeHandler } from "./fake-handler.ts";
import { WatchedWorld } from "./watched-world.ts";

export const LANE = "digits/0";
const IDENTITY = anIdentity();
const KEYS = jobKeys(IDENTITY.api, IDENTITY.job);

export class WorkerBench {
  readonly world = new WatchedWorld();
  readonly handlers: FakeHandler[] = [];
  readonly said: string[] = [];
  ready: Ready = { hook: true };
  startFault: HandlerStartFailed | undefined;
  /** Handlers that start from now on do not get ready before `endDelay`. */
  delayStart = false;
  #delayed: (() => void)[] = [];
  readonly worker: Worker;
  exitCode: number | undefined;
  error: unknown;
  #lane: LaneRecord = { ...EMPTY_LANE, epoch: 1, term: 1, job: IDENTITY.job, owner: "me", keep: { 1: 2 }, hand: 4 };

  constructor(over: Partial<WorkerDeps> = {}) {
    this.worker = new Worker(
      workerDeps(this.world, {
        startHandler: () => this.#startHandler(),
        say: (text) => this.said.push(text),
        ...over,
      }),
    );
  }

  /** Puts the lane record, and lets the worker live until it needs time. */
  static async running(lane: Partial<LaneRecord> = {}, over: Partial<WorkerDeps> = {}): Promise<WorkerBench> {
    const bench = new WorkerBench(over);
    await bench.world.memory.put("items", Buffer.from("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n"));
    await bench.setLane(lane);
    bench.run();
    await bench.settle();
    return bench;
  }

  run(): void {
    this.worker.run().then(
      (code) => (this.exitCode = code),
      (error: unknown) => (this.error = error),
    );
  }

  async setLane(change: Partial<LaneRecord>): Promise<void> {
    const key = apiKeys(IDENTITY.api).lane(IDENTITY.lane);
    this.#lane = { ...this.#lane, ...change, writes: this.#lane.writes + 1 };
    const found = await this.world.memory.read(key);
    await this.world.memory.swap(key, Buffer.from(JSON.stringify(this.#lane)), found?.version);
  }

  async send(...messages: Message[]): Promise<void> {
    await this.world.lanes.send(LANE, messages);
    await this.settle();
  }

  async endSplit(batches = 4): Promise<void> {
    const end = { format: 1, complete: true, splits: 1, batches, items: batches };
    await this.world.memory.put(KEYS.splitEnd, Buffer.from(JSON.stringify(end)));
  }

  get handler(): FakeHandler {
    const handler = this.handlers.at(-1);
    if (handler === undefined) throw new Error("no handler was started");
    return handler;
  }

  async ledger(): Promise<LedgerLine[]> {
    const found = await this.world.memory.get(KEYS.ledger(IDENTITY.name, 0));
    return found === undefined ? [] : [...parseLines<LedgerLine>(found.bytes).lines];
  }

  /** Its ledger lines of a kind. */
  async lines<T extends LedgerLine["t"]>(kind: T): Promise<Extract<LedgerLine, { t: T }>[]> {
    return (await this.ledger()).filter((line): line is Extract<LedgerLine, { t: T }> => line.t === kind);
  }

  /** All handlers whose start was delayed get ready. */
  async endDelay(): Promise<void> {
    this.delayStart = false;
    for (const start of this.#delayed.splice(0)) start();
    await this.settle();
  }

  async advance(milliseconds: number): Promise<void> {
    await this.world.clock.advance(milliseconds);
    await this.settle();
  }

  async settle(): Promise<void> {
    for (let turns = 0; turns < 8; turns += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  #startHandler() {
    if (this.startFault !== undefined) return Promise.reject(this.startFault);
    const started = () => {
      const handler = new FakeHandler();
      this.handlers.push(handler);
      return { handler, ready: this.ready };
    };
    if (!this.delayStart) return Promise.resolve(started());
    return new Promise<ReturnType<typeof started>>((resolve) => this.#delayed.push(() => { resolve(started()); })); // prettier-ignore
  }

  /** A poll of somebody else: what is visible in the lane. */
  async visible(): Promise<number[]> {
    const deliveries = await this.world.lanes.receive(LANE, { messagesMax: 10, waitSeconds: 0 });
    return deliveries.flatMap(({ message }) => (message.kind === "batch" ? message.batch : [])).sort();
  }
}
