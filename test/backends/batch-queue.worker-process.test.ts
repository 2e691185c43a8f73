import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MemoryQueue } from "../../services/backends/batch-queue.memory.ts";
import { serveQueue, type QueueServer } from "../../services/backends/batch-queue.socket-server.ts";
import { messages } from "../support/messages.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const CLIENT = pathToFileURL(resolve("services/backends/batch-queue.socket.ts")).href;

/** Acks the first of the three messages that it receives, holds the others, and leaves when its service is gone. */
const WORKER = `
  import { connectQueue } from ${JSON.stringify(CLIENT)};
  const hello = { job: "00000000000000aa", epoch: 1, generation: 0, index: 0, incarnation: "abcd" };
  const queue = await connectQueue(process.argv[1], hello);
  const [first] = await queue.receive("api/0", { messagesMax: 3, waitSeconds: 20 });
  await queue.ack("api/0", [first.receipt]);
  console.log("holding");
  await queue.closed;
  process.exit(7);`;

describe("a worker's process at the queue of its service", () => {
  const queue = new MemoryQueue({ clock: new VirtualClock() });
  let folder: string;
  let server: QueueServer;
  let worker: ChildProcess;
  let gone: Promise<void>;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "millrace-queue-"));
    const path = join(folder, "service.sock");
    let left: () => void;
    gone = new Promise((resolve) => (left = resolve));
    server = await serveQueue({
      path,
      queue,
      onWorkerGone: () => {
        left();
      },
    });
    await queue.send("api/0", messages(3));
    const stdio = ["ignore", "pipe", "inherit"] as const;
    worker = spawn(process.execPath, ["--input-type=module", "-e", WORKER, path], { stdio: [...stdio] });
    if (worker.stdout !== null) await once(worker.stdout, "data");
  });
  afterEach(async () => {
    worker.kill("SIGKILL");
    await server.close();
    await rm(folder, { recursive: true });
  });

  it("hands back what it held when it is killed, without waiting for the leases", async () => {
    worker.kill("SIGKILL");
    await gone;

    const left = await queue.receive("api/0", { messagesMax: 10, waitSeconds: 0 });

    expect(left.map(({ deliveries }) => deliveries)).toEqual([2, 2]);
    await queue.ack(
      "api/0",
      left.map(({ receipt }) => receipt),
    );
  });

  it("notices at once that its service is gone", async () => {
    const exit = once(worker, "exit");

    await server.close();

    expect(await exit).toEqual([7, null]);
    server = { close: () => Promise.resolve() };
  });
});
