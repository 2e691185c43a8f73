import { describe, expect, it } from "vitest";
import { Unwell } from "../../../services/backends/unwell.ts";
import { Replica } from "../../../services/batch-api/driver/replica.ts";
import { WaitingTold } from "../../../services/batch-api/driver/waiting.ts";
import { readState, swapState } from "../../../services/batch-api/jobs/state-record.ts";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import { viewJob } from "../../../services/batch-api/jobs/view.ts";
import { apiKeys, jobKeys } from "../../../services/protocol/keys.ts";
import { DriverBench } from "../../support/a-driver.ts";
import { aJobSpec } from "../../support/builders.ts";

const SPEC = aJobSpec({ api: "a", job: "6a00000000000001", accepted_at: 7 });
const GONE = "the queue of lane a/0 does not exist; check its URL";

class WaitingBench extends DriverBench {
  /** Sentences of the lanes that cannot be used. */
  faults: Readonly<Record<string, string>> = {};
  written = 0;
  readonly #over = new AbortController();

  constructor() {
    super();
    this.world.before = (call) => {
      const fault = call.startsWith("probe ") ? this.faults[call.slice("probe ".length)] : undefined;
      if (fault !== undefined) throw new Unwell(fault);
      if (call.startsWith("swap ") && call.endsWith("/state.json")) this.written += 1;
    };
  }

  async accept(): Promise<void> {
    await this.world.memory.put(jobKeys("a", SPEC.job).spec, encodeStored(SPEC));
    await this.world.memory.put(apiKeys("a").activeJob(SPEC.job), Buffer.from("{}\n"));
  }

  look(id: string): Replica {
    const options = { id, apis: () => Promise.resolve(["a"]), lanes: 2, busyMs: 250, idleMs: 1000, alone: false };
    const replica = new Replica(this.deps, { ...options, onFatal: () => undefined });
    replica.run(this.#over.signal).catch(() => undefined); // ends by the signal
    return replica;
  }

  async pass(seconds: number): Promise<void> {
    for (let at = 0; at < seconds * 10; at += 1) await this.world.clock.advance(100);
  }

  async message(): Promise<string> {
    const view = await viewJob({ store: this.world.memory, lanes: 2, live: () => undefined }, "a", SPEC.job);
    expect(view.at.pending).toBe(SPEC.accepted_at);
    return view.message;
  }

  end(): void {
    this.#over.abort(new Error("the test is over"));
  }
}

describe("a job that waits because no lane can be used", () => {
  it("says which and why, written once by however many replicas, and starts when one is mended", async () => {
    const bench = new WaitingBench();
    await bench.accept();
    bench.faults = { "a/0": GONE, "a/1": "may not be used: grant sqs:GetQueueAttributes" };
    const replicas = [bench.look("one")];
    await bench.pass(5);
    const told = await bench.message();
    expect(told).toContain(`lane 0: ${GONE}`);
    expect(told).toContain("lane 1: may not be used: grant sqs:GetQueueAttributes");
    const ownWords = (lane: string) => Promise.reject(new Unwell(`${lane} does not answer replica two`));
    const { queue } = bench.deps;
    bench.deps = { ...bench.deps, queue: { ...queue, probe: ownWords } };
    replicas.push(bench.look("two"));

    await bench.pass(20);

    expect(await bench.message()).toBe(
      "Waits for a lane, and none that is free can be used: lane 0: a/0 does not answer replica two; lane 1: a/1 does not answer replica two",
    );
    expect(bench.written).toBeLessThanOrEqual(2);
    expect((await readState(bench.world.memory, "a", SPEC.job)).state).toMatchObject({ state: "pending", lane: null });

    bench.faults = { "a/0": GONE };
    await bench.pass(5);

    expect((await readState(bench.world.memory, "a", SPEC.job)).state).toMatchObject({
      state: "running",
      message: "",
      lane: { lane: 1 },
    });
    bench.end();
    await Promise.all(replicas.map((replica) => replica.drained()));
  });

  it("says so again when it had a lane meanwhile: who waits no more is forgotten", async () => {
    const { memory } = new WaitingBench().world;
    const told = new WaitingTold(memory);
    const faults = new Map([[0, GONE]]);
    const tell = async () => {
      await told.tell("a", [{ spec: SPEC, stored: await readState(memory, "a", SPEC.job) }], faults);
    };
    await tell();
    await told.tell("a", [], faults);
    await swapState(memory, "a", SPEC.job, await readState(memory, "a", SPEC.job), { state: "pending", message: "" });

    await tell();

    expect((await readState(memory, "a", SPEC.job)).state.message).toContain(GONE);
  });

  it("says that another job holds the lane once that is the reason", async () => {
    const bench = new WaitingBench();
    await bench.accept();
    bench.faults = { "a/0": GONE, "a/1": GONE };
    const replica = bench.look("one");
    await bench.pass(5);
    expect(await bench.message()).toContain(GONE);

    for (const number of [0, 1]) {
      const other = { epoch: 1, term: 1, job: "6a00000000000009", owner: "x", beat: 1, keep: {}, hand: 1, stop: false };
      const key = apiKeys("a").lane(number);
      const before = await bench.world.memory.read(key);
      await bench.world.memory.swap(key, encodeStored({ ...other, writes: 9 }), before?.version);
    }
    await bench.pass(5);

    expect(await bench.message()).toMatch(/^Waits for a lane: all 2 lanes are held/);
    bench.end();
    await replica.drained();
  });
});
