import { describe, expect, it } from "vitest";
import { DatasetError } from "../../../services/backends/dataset.ts";
import { DeadLetterQueueUnwell } from "../../../services/backends/dead-letters.ts";
import { MemoryStore } from "../../../services/backends/object-store.memory.ts";
import { sendDeadLetters, type EndedJob } from "../../../services/batch-api/driver/dead-letters.ts";
import { batchId } from "../../../services/protocol/ids.ts";
import { LIMITS } from "../../../services/protocol/limits.ts";
import type { Span } from "../../../services/protocol/pointers.ts";
import { aJobSpec } from "../../support/builders.ts";
import { MemoryDataset } from "../../support/memory-dataset.ts";
import { MemoryDeadLetters } from "../../support/memory-dead-letters.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const ARN = "arn:aws:sqs:eu-west-1:123456789012:failed";
const SPEC = aJobSpec({ dead_letter_queue: { arn: ARN, max_receive_count: 2 } });

/** A job whose batches have one staged line each; those of `failed` failed. */
class Bench {
  readonly store = new MemoryStore({ clock: new VirtualClock() });
  readonly dataset = new MemoryDataset();
  readonly queues = new MemoryDeadLetters();
  readonly spans = new Map<number, Span[]>();
  readonly slept: number[] = [];
  steps = 0;
  leaveAt = Infinity;
  sends = true;
  failed: readonly number[];

  constructor(failed: readonly number[]) {
    this.failed = failed;
  }

  async lines(...lines: (string | Buffer)[]): Promise<void> {
    let start = 0;
    const pieces: Buffer[] = [];
    for (const [batch, line] of lines.entries()) {
      const bytes = Buffer.concat([Buffer.from(line), Buffer.from("\n")]);
      pieces.push(bytes);
      this.spans.set(batch, [{ uri: "store:items", etag: "", format: "lines", start, end: start + bytes.length, items: 1 }]); // prettier-ignore
      start += bytes.length;
    }
    await this.store.put("items", Buffer.concat(pieces));
  }

  send(): Promise<string | undefined> {
    const job: EndedJob = {
      ...{ spec: SPEC, store: this.store },
      failedFrom: (from) => this.failed.filter((batch) => batch >= from),
      pointer: (batch) => {
        return Promise.resolve({ pointer: { items: 1, spans: this.spans.get(batch) ?? [] }, firstItem: batch });
      },
      onStep: () => {
        this.steps += 1;
        if (this.steps === this.leaveAt) throw new Error("this driver leaves");
      },
      sleep: (milliseconds) => {
        this.slept.push(milliseconds);
        return Promise.resolve();
      },
      during: (call) => call,
    };
    return sendDeadLetters(job, this.sends ? { queues: this.queues, dataset: this.dataset } : undefined);
  }

  get bodies(): string[] {
    return this.queues.sent.map(({ body }) => body);
  }
}

describe("dead letters of a job", () => {
  it("are its failed batches as the handler got them, named by the job and the batch", async () => {
    const bench = new Bench([0, 2]);
    await bench.lines('{"a": 1}', '"fine"', '"b"');

    expect(await bench.send()).toBeUndefined();

    expect(bench.bodies.map((body) => JSON.parse(body) as unknown)).toEqual([[{ a: 1 }], ["b"]]);
    const id = batchId(SPEC.job, 0);
    const attributes = { api_name: SPEC.api, job_id: SPEC.job, batch_id: id, body: "items" };
    expect(bench.queues.sent[0]).toMatchObject({ arn: ARN, id, attributes });
  });

  it("are pointers where the batch is too long, is no JSON, is no text, or cannot be read any more", async () => {
    const bench = new Bench([0, 1, 2, 3, 4]);
    const longest = JSON.stringify("x".repeat(LIMITS.deadLetterBytesMax - 6)); // two brackets, a blank, quotes, a line break
    await bench.lines(`${longest.slice(0, -1)}y"`, longest, "no json", Buffer.from([0x22, 0xff, 0x22]), '"gone"');
    const gone = { uri: "s3://data/x", etag: '"1"', format: "lines", start: 0, end: 3, items: 1 } as const;
    bench.spans.set(4, [gone]);
    bench.dataset.read = () => Promise.reject(new DatasetError("changed", "s3://data/x", "it changed"));

    expect(await bench.send()).toBeUndefined();

    expect(bench.queues.sent.map(({ attributes }) => attributes["body"])).toEqual([
      ...["pointer", "items", "pointer", "pointer", "pointer"],
    ]);
    expect(Buffer.byteLength(bench.bodies[1] ?? "")).toBe(LIMITS.deadLetterBytesMax);
    expect(JSON.parse(bench.bodies[4] ?? "")).toEqual({
      ...{ job_id: SPEC.job, batch: 4, first_item: 4, items: 1 },
      spans: [gone],
    });
  });

  it("hold characters that SQS refuses as escapes", async () => {
    const bench = new Bench([0]);
    await bench.lines(JSON.stringify("a\uFFFFb"));

    await bench.send();

    expect(bench.bodies[0]).toContain("a\\uffffb");
    expect(JSON.parse(bench.bodies[0] ?? "")).toEqual(["a\uFFFFb"]);
  });

  it("are sent again as pointers when the queue refuses them, and told when it refuses those too", async () => {
    const bench = new Bench([0, 1]);
    await bench.lines('"long"', '"short"');
    bench.queues.faults.push((letter) => letter.body.includes("long"));

    expect(await bench.send()).toBeUndefined();
    expect(bench.queues.sent.map(({ attributes }) => attributes["body"])).toEqual(["items", "pointer"]);

    const refused = new Bench([0]);
    await refused.lines('"x"');
    refused.queues.faults.push(
      () => true,
      () => true,
    );
    expect(await refused.send()).toBe(
      `dead_letter_queue: 1 failed batches were not sent to ${ARN}: it refuses them (InvalidParameterValue); ` +
        `mend that, and run them again by millrace retry ${SPEC.job}`,
    );
  });

  it("are tried three times while the queue may heal, and once where it will not; then the job goes on with a warning", async () => {
    const heals = new Bench([0]);
    await heals.lines('"x"');
    heals.queues.faults.push(new DeadLetterQueueUnwell("it does not answer", true));
    expect(await heals.send()).toBeUndefined();
    expect(heals.slept).toHaveLength(1);

    const away = new Bench([...Array(25).keys()]);
    await away.lines(...[...Array(25).keys()].map(String));
    for (let calls = 0; calls < 9; calls += 1)
      away.queues.faults.push(new DeadLetterQueueUnwell("it does not answer", true));
    expect(await away.send()).toContain(`25 failed batches were not sent to ${ARN}: it does not answer; mend that`);
    expect(away.queues.calls).toBe(3);

    const denied = new Bench([0, 1]);
    await denied.lines("1", "2");
    denied.queues.faults.push(
      new DeadLetterQueueUnwell("it may not be sent to (AccessDenied): grant sqs:SendMessage", false),
    );
    expect(await denied.send()).toContain("it may not be sent to (AccessDenied): grant sqs:SendMessage");
    expect(denied.queues.calls).toBe(1);
  });

  it("go on where a driver stopped, and are not sent again once all had their turn", async () => {
    const bench = new Bench([...Array(250).keys()]);
    await bench.lines(...[...Array(250).keys()].map(String));
    bench.leaveAt = 23;

    await expect(bench.send()).rejects.toThrow("this driver leaves");
    const before = bench.queues.sent.length;
    bench.leaveAt = Infinity;
    expect(await bench.send()).toBeUndefined();

    expect(before).toBe(230);
    expect(new Set(bench.queues.sent.map(({ id }) => id)).size).toBe(250);
    expect(bench.queues.sent.length, "what was sent behind the last mark goes twice").toBe(250 + 30);
    expect(await bench.send()).toBeUndefined();
    expect(bench.queues.sent.length).toBe(280);
  });

  it("stay unsent where the service has no credentials, and that is told again by whoever takes over", async () => {
    const bench = new Bench([0]);
    await bench.lines("1");

    bench.sends = false;

    const warning = await bench.send();
    bench.sends = true;

    expect(warning).toContain("1 failed batches were not sent to");
    expect(warning).toContain("this service has no AWS credentials to send with");
    expect(await bench.send()).toBe(warning);
    expect(bench.queues.sent).toEqual([]);
  });
});
