import { afterEach, describe, expect, it } from "vitest";
import { realClock } from "../../services/backends/clock.real.ts";
import { ContainerGate } from "../../services/worker/handlers/container-gate.ts";
import { startContainerHandler } from "../../services/worker/handlers/handler.container.ts";
import { AContainer, aContainerSpec } from "../support/a-container.ts";
import { WorkerBench } from "../support/a-whole-worker.ts";
import { aOneItemMessage } from "../support/a-worker.ts";
import { aJobSpec } from "../support/builders.ts";

let container: AContainer;
let bench: WorkerBench;

afterEach(async () => {
  bench.worker.leave({ kind: "stop" });
  await until(() => bench.exitCode !== undefined);
  await container.die();
});

/** Its container answers each batch with its items. */
async function aWorker(startSeconds = 30): Promise<void> {
  container = await AContainer.up((response, { body }) => response.end(body));
  const { port } = container;
  let gate: ContainerGate | undefined;
  bench = new WorkerBench({
    spec: aJobSpec({ batch_timeout_seconds: 5 }),
    startHandler: async () => {
      const { clock } = bench.world;
      gate ??= new ContainerGate({ handler: aContainerSpec(port, null, startSeconds), clock });
      const options = { gate, clock, port, job: "e00000000000000a", cortexProject: false, output: () => {} };
      const handler = startContainerHandler(options);
      return { handler, ready: await handler.start() };
    },
  });
  await bench.world.memory.put("items", Buffer.from("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n"));
  await bench.setLane({});
  bench.run();
}

/** Lets real requests and the worker's own time go on together. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let turns = 0; turns < 4_000; turns += 1) {
    if (await condition()) return;
    await bench.advance(5);
    await realClock.sleep(1);
  }
  throw new Error("it never came to be", { cause: bench.error });
}

async function outcomes(count: number) {
  await until(async () => (await bench.lines("outcome")).length === count);
  return bench.lines("outcome");
}

describe("a worker with a container", () => {
  it("settles batches with the container's rows", async () => {
    await aWorker();
    await bench.send(aOneItemMessage(3), aOneItemMessage(4));

    expect(await outcomes(2)).toMatchObject([
      { batch: 3, result: "all" },
      { batch: 4, result: "all" },
    ]);
    expect(container.posts.map(({ body }) => body.trim())).toEqual([expect.stringMatching(/^\[\s*3\s*\]$/), expect.stringMatching(/^\[\s*4\s*\]$/)]); // prettier-ignore
  });

  it("whose container dies fails that attempt, waits for it, and goes on", async () => {
    await aWorker();
    const { onPost } = container;
    container.onPost = () => void container.die();
    await bench.send(aOneItemMessage(0), aOneItemMessage(1));

    expect(await outcomes(1)).toMatchObject([{ batch: 0, attempt: 1, result: "none", cause: "exited" }]);
    container.onPost = onPost;
    await container.start();

    expect((await outcomes(2))[1]).toMatchObject({ batch: 1, result: "all" });
    expect(bench.exitCode).toBeUndefined();
  });

  it("whose container hangs in a batch fails that attempt when its time is up, and goes on", async () => {
    await aWorker();
    const { onPost } = container;
    container.onPost = () => {};
    await bench.send(aOneItemMessage(0), aOneItemMessage(1));
    await until(() => container.posts.length === 1);
    container.onPost = onPost;

    expect(await outcomes(2)).toMatchObject([
      { batch: 0, attempt: 1, result: "none", cause: "timed_out" },
      { batch: 1, result: "all" },
    ]);
    expect(bench.exitCode).toBeUndefined();
  });

  it("whose container does not come back hands back what waits, and leaves", async () => {
    await aWorker(2);
    container.onPost = () => void container.die();
    await bench.send(aOneItemMessage(0), aOneItemMessage(1));

    await until(() => bench.exitCode !== undefined);

    expect(await bench.lines("outcome")).toMatchObject([{ batch: 0, cause: "exited" }]);
    expect(await bench.lines("handed_back")).toMatchObject([{ batches: [1] }]);
    expect(await bench.lines("start_failed")).toHaveLength(1);
    expect(await bench.visible()).toEqual([1]);
  });
});
