/** An `SqsQueue` on a scripted server and a virtual clock, and what it told. */
import { SqsQueue, type SqsQueueOptions } from "../../services/backends/batch-queue.sqs.ts";
import { encodeMessage } from "../../services/protocol/messages.ts";
import { aMessage } from "./messages.ts";
import { startScriptedSqs, type ScriptedSqs } from "./scripted-sqs.ts";
import { VirtualClock } from "./virtual-clock.ts";

export class SqsUnderTest {
  readonly clock = new VirtualClock();
  readonly sqs: ScriptedSqs;
  readonly requests: string[] = [];
  readonly notices: string[] = [];
  /** SHA-256 and bytes. */
  readonly undecodable: [string, number][] = [];
  readonly #opened: SqsQueue[] = [];

  private constructor(sqs: ScriptedSqs) {
    this.sqs = sqs;
  }

  static async start(): Promise<SqsUnderTest> {
    return new SqsUnderTest(await startScriptedSqs());
  }

  /** Of two lanes, 0 and 1. */
  queue(options: Partial<SqsQueueOptions> = {}): SqsQueue {
    const queue = new SqsQueue({
      clock: this.clock,
      random: { fraction: () => 0.5, hex: (bytes) => "00".repeat(bytes) },
      queueUrls: [0, 1].map((lane) => `${this.sqs.endpoint}/000000000000/lane-${String(lane)}`),
      region: "eu-west-1",
      credentials: { accessKeyId: "first", secretAccessKey: "secret" },
      onRequest: (kind, outcome) => this.requests.push(`${kind} ${outcome}`),
      onNotice: (sentence) => this.notices.push(sentence),
      onUndecodable: (hash, bytes) => this.undecodable.push([hash, bytes]),
      ...options,
    });
    this.#opened.push(queue);
    return queue;
  }

  /** Lets the virtual time pass whenever the queue waits for it, until the call has ended. */
  async withTime<T>(call: Promise<T>): Promise<T> {
    const ended = new AbortController();
    const driving = this.#drive(ended.signal);
    try {
      return await call;
    } finally {
      ended.abort();
      await driving;
    }
  }

  async close(): Promise<void> {
    for (const queue of this.#opened) await queue.close();
    await this.sqs.close();
  }

  async #drive(ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      if (this.clock.sleeping > 0) await this.clock.advance(50);
      else await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

export function failureOf(call: Promise<unknown>): Promise<Error> {
  return call.then(
    () => new Error("did not fail"),
    (failure: unknown) => failure as Error,
  );
}

/** With the receipt `r<batch>`. */
export function aDelivery(batch: number) {
  return { text: encodeMessage(aMessage(batch)), receipt: `r${String(batch)}` };
}
