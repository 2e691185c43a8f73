import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MemoryQueue } from "../../services/backends/batch-queue.memory.ts";
import { serveQueue, type QueueServer } from "../../services/backends/batch-queue.socket-server.ts";
import { connectQueue, QueueClosed, type SocketQueue } from "../../services/backends/batch-queue.socket.ts";
import { connectTo } from "../../services/backends/service-socket.ts";
import type { WorkerHello } from "../../services/backends/queue-wire.ts";
import { batchQueueContract } from "../contracts/batch-queue.contract.ts";
import { aMessage, messages } from "../support/messages.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const HELLO: WorkerHello = { job: "00000000000000aa", epoch: 1, generation: 0, index: 0, incarnation: "abcd" };

/** A memory queue, served; and what the service heard of its workers. */
class Served {
  readonly clock = new VirtualClock();
  readonly queue = new MemoryQueue({ clock: this.clock });
  readonly came: WorkerHello[] = [];
  readonly gone: WorkerHello[] = [];
  path = "";
  private folder = "";
  private server: QueueServer | undefined;
  private onGone: (() => void) | undefined;

  async open(): Promise<this> {
    this.folder = await mkdtemp(join(tmpdir(), "millrace-queue-"));
    this.path = join(this.folder, "service.sock");
    this.server = await serveQueue({
      path: this.path,
      queue: this.queue,
      onWorker: (hello) => this.came.push(hello),
      onWorkerGone: (hello) => {
        this.gone.push(hello);
        this.onGone?.();
      },
    });
    return this;
  }

  connect(hello = HELLO): Promise<SocketQueue> {
    return connectQueue(this.path, hello);
  }

  async untilGone(workers: number): Promise<void> {
    while (this.gone.length < workers) await new Promise<void>((resolve) => (this.onGone = resolve));
  }

  async closeServer(): Promise<void> {
    await this.server?.close();
    this.server = undefined;
  }

  async close(): Promise<void> {
    await this.closeServer();
    await rm(this.folder, { recursive: true });
  }
}

batchQueueContract("SocketQueue", async () => {
  const served = await new Served().open();
  const queue = await served.connect();
  return {
    queue,
    async advance(seconds) {
      await served.clock.advance(1000 * seconds);
    },
    async close() {
      await queue.close();
      await served.close();
    },
  };
});

describe("a queue served over a socket", () => {
  let served: Served;
  beforeEach(async () => (served = await new Served().open()));
  afterEach(() => served.close());

  it("lets only this user in", async () => {
    expect((await stat(served.path)).mode & 0o777).toBe(0o600);
  });

  it("tells the service which worker came and which is gone", async () => {
    const worker = await served.connect();
    expect(served.came).toEqual([HELLO]);
    expect(served.gone).toEqual([]);

    await worker.close();
    await served.untilGone(1);

    expect(served.gone).toEqual([HELLO]);
  });

  it("releases what a worker held as soon as its connection ends, and nothing that it acked", async () => {
    await served.queue.send("api/0", messages(3));
    const worker = await served.connect();
    const [acked] = await worker.receive("api/0", { messagesMax: 3, waitSeconds: 0 });
    await worker.ack("api/0", [acked?.receipt ?? ""]);

    await worker.close();
    await served.untilGone(1);

    const left = await served.queue.receive("api/0", { messagesMax: 3, waitSeconds: 0 });
    expect(left.map(({ message }) => message)).toEqual([aMessage(1), aMessage(2)]);
  });

  it("gives nothing to the poll of a worker that is gone", async () => {
    const worker = await served.connect();
    const poll = worker.receive("api/0", { messagesMax: 1, waitSeconds: 20 }).catch((error: unknown) => error);
    await worker.probe("api/0");

    await worker.close();
    await served.untilGone(1);
    await served.queue.send("api/0", [aMessage()]);

    expect(await poll).toBeInstanceOf(QueueClosed);
    expect((await served.queue.receive("api/0", { messagesMax: 1, waitSeconds: 0 }))[0]?.deliveries).toBe(1);
  });

  it("tells the worker when the service is gone, and fails what it asks", async () => {
    const worker = await served.connect();
    const poll = worker.receive("api/0", { messagesMax: 1, waitSeconds: 20 }).catch((error: unknown) => error);
    await worker.probe("api/0");

    await served.closeServer();
    await worker.closed;

    expect(await poll).toBeInstanceOf(QueueClosed);
    await expect(worker.ack("api/0", [])).rejects.toBeInstanceOf(QueueClosed);
  });

  it("answers other requests while a poll waits", async () => {
    const worker = await served.connect();
    const poll = worker.receive("api/0", { messagesMax: 10, waitSeconds: 20 });

    expect(await worker.extend("api/0", ["none"])).toEqual(["none"]);
    await worker.send("api/0", [aMessage()]);

    expect(await poll).toHaveLength(1);
  });

  it("carries twenty thousand messages in one answer", async () => {
    await served.queue.send("api/0", messages(20_000));
    const worker = await served.connect();

    const deliveries = await worker.receive("api/0", { messagesMax: 20_000, waitSeconds: 0 });

    expect(deliveries.at(-1)?.message).toEqual(aMessage(19_999));
    expect(new Set(deliveries.map(({ receipt }) => receipt)).size).toBe(20_000);
  });

  it("leaves in the lane what is too long for one answer", async () => {
    const uri = `s3://bucket/${"k".repeat(1000)}`;
    const spans = Array.from({ length: 1000 }, (_, i) => {
      return { uri: `${uri}${String(i)}`, etag: "e", format: "lines" as const, start: 0, end: 10, items: 1 };
    });
    const long = (batch: number) =>
      aMessage(batch, { pointer: { items: 1000, spans: spans.map((span) => ({ ...span, etag: String(batch) })) } });
    await served.queue.send(
      "api/0",
      Array.from({ length: 40 }, (_, batch) => long(batch)),
    );
    const worker = await served.connect();

    const first = await worker.receive("api/0", { messagesMax: 40, waitSeconds: 0 });
    const second = await worker.receive("api/0", { messagesMax: 40, waitSeconds: 0 });

    expect(first.length).toBeGreaterThan(10);
    expect(first.length).toBeLessThan(20);
    expect(second[0]?.message).toEqual(long(first.length));
  });

  it("takes thousands of requests at once", async () => {
    await served.queue.send("api/0", messages(3000));
    const worker = await served.connect();

    const answers = await Promise.all(
      messages(3000).map(() => worker.receive("api/0", { messagesMax: 1, waitSeconds: 0 })),
    );

    expect(answers.every((answer) => answer.length === 1)).toBe(true);
  });

  const hello = frame({ hello: HELLO });
  it.each([
    ["bytes that are no frame", Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")],
    ["a frame longer than any of ours", Buffer.from([0xff, 0xff, 0xff, 0xff])],
    ["a frame too short for its own fields", Buffer.from([1, 0, 0, 0, 0])],
    ["a head longer than its frame", Buffer.from([8, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0])],
    ["a head that is not JSON", frame("{", "raw")],
    ["a request before the hello", frame({ op: "probe", lane: "api/0" })],
    ["a hello without names", frame({ hello: { job: 1 } })],
    ["an unknown request", Buffer.concat([hello, frame({ op: "purge", lane: "api/0" })])],
    ["a lane that is no name", Buffer.concat([hello, frame({ op: "probe", lane: 0 })])],
    ["receipts that are no strings", Buffer.concat([hello, frame({ op: "ack", lane: "api/0", receipts: [1] })])],
    ["a request that is null", Buffer.concat([hello, frame(null)])],
    ["messages that are no messages", Buffer.concat([hello, sendFrame([null], Buffer.from([0, 0, 0, 0, 0, 0]))])],
    ["messages that end in the middle", Buffer.concat([hello, sendFrame([], Buffer.from([0]))])],
  ])("ends a connection that brings %s, and goes on with the others", async (_, bytes) => {
    const worker = await served.connect();
    const hostile = await connectTo(served.path);
    hostile.on("error", () => undefined);

    hostile.resume();
    hostile.write(bytes);
    await once(hostile, "close");

    await expect(worker.probe("api/0")).resolves.toBeUndefined();
  });
});

function frame(head: unknown, form: "json" | "raw" = "json", body: Buffer = Buffer.alloc(0)): Buffer {
  const text = Buffer.from(form === "raw" ? String(head) : JSON.stringify(head));
  const fixed = Buffer.alloc(12);
  fixed.writeUInt32LE(8 + text.length + body.length, 0);
  fixed.writeUInt32LE(text.length, 8);
  return Buffer.concat([fixed, text, body]);
}

function sendFrame(heads: readonly unknown[], body: Buffer): Buffer {
  return frame({ op: "send", lane: "api/0", tables: { heads, sources: [], others: [] } }, "json", body);
}
