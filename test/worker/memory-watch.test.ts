import { describe, expect, it } from "vitest";
import type { MemoryGauge } from "../../services/backends/memory-gauge.ts";
import { watchMemory } from "../../services/worker/memory-watch.ts";
import { RunnerBench } from "../support/a-runner.ts";
import { FakeHandler } from "../support/fake-handler.ts";
import { WatchedWorld } from "../support/watched-world.ts";

/** A memory in which each process holds what the test says. */
class FakeMemory implements MemoryGauge {
  share: number | undefined = 0.5;
  readonly bytes = new Map<number, number>();

  usedShare(): Promise<number | undefined> {
    return Promise.resolve(this.share);
  }

  groupBytes(group: number): Promise<number> {
    return Promise.resolve(this.bytes.get(group) ?? 0);
  }
}

class ProcessHandler extends FakeHandler {
  readonly pid: number;

  constructor(pid: number) {
    super();
    this.pid = pid;
  }
}

describe("the watch over a worker's memory", () => {
  it("ends the largest handler when nothing is left, and no other one before that one is gone", async () => {
    const { clock } = new WatchedWorld();
    const memory = new FakeMemory();
    const handlers = [new ProcessHandler(1), new ProcessHandler(2), new FakeHandler()];
    memory.bytes.set(1, 100).set(2, 200);
    const over = new AbortController();
    const watching = watchMemory({ clock, memory }, () => handlers, over.signal);
    const kills = () => handlers.map((handler) => handler.kills);
    await clock.advance(200);
    expect(kills()).toEqual([[], [], []]);
    memory.share = 0.96;
    await clock.advance(100);

    expect(kills()).toEqual([[], ["out_of_memory"], []]);
    over.abort();
    await expect(watching).rejects.toThrow();
  });

  it("is over at once where nothing limits the memory", async () => {
    const { clock } = new WatchedWorld();
    const memory = new FakeMemory();
    memory.share = undefined;
    const { signal } = new AbortController();

    expect(await watchMemory({ clock, memory }, () => [], signal)).toBeUndefined();
    expect(await watchMemory({ clock }, () => [], signal)).toBeUndefined();
  });

  it("charges the batch that ran, and starts another handler", async () => {
    const memory = new FakeMemory();
    const handlers: ProcessHandler[] = [];
    const startHandler = () => {
      const handler = new ProcessHandler(handlers.length + 1);
      handlers.push(handler);
      return Promise.resolve({ handler, ready: { hook: false } });
    };
    const bench = await RunnerBench.started({ memory, startHandler });
    bench.runner.watch(new AbortController().signal).catch((error: unknown) => bench.broken.push(error));
    await bench.take([0]);
    memory.bytes.set(1, 100);
    memory.share = 0.99;
    await bench.world.clock.advance(100);
    memory.share = 0.1;
    await bench.settle();

    expect(await bench.outcomes()).toMatchObject([{ batch: 0, result: "none", cause: "out_of_memory" }]);
    expect(handlers).toHaveLength(2);
  });
});
