/** Writes one stream: calls in their order, one at a time, again after a pause that grows while the service does not take them. */
import type { RejectedLogEventsInfo } from "@aws-sdk/client-cloudwatch-logs";
import type { Clock, Random } from "../clock.ts";
import type { LogLine } from "../log-store.ts";
import type { LogCalls } from "./log-calls.ts";
import { faultOf } from "./log-faults.ts";
import type { LogOperation } from "./log-faults.ts";
import type { LogEvent } from "./log-event.ts";
import { PUT_LIMITS } from "./put-limits.ts";
import type { WaitingLines } from "./waiting-lines.ts";

export interface StreamWriterOptions {
  readonly stream: string;
  readonly calls: LogCalls;
  readonly clock: Clock;
  readonly random: Random;
  readonly lines: WaitingLines;
  /** Lines wait so long for others, unless a call is full. */
  readonly flushSeconds: number;
  readonly onFault: (error: unknown, operation: LogOperation, failures: number) => void;
  readonly onTaken: () => void;
  /** Hears a sentence about lines whose times the service refused. */
  readonly say: (sentence: string) => void;
}

const PAUSE_FIRST_MS = 500;
const PAUSE_LAST_MS = 30_000;
/** While somebody waits for the end of it. */
const PAUSE_URGENT_MS = 1_000;

export class StreamWriter {
  readonly #options: StreamWriterOptions;
  #running: Promise<void> | undefined;
  #created = false;
  /** How many wait for the end of it. */
  #urgent = 0;
  #failures = 0;
  /** Halved while the service calls a call invalid, until the event that it means stands alone. */
  #eventsMax: number = PUT_LIMITS.eventsMax;
  #restamped = false;
  /** Ends the pause that the writer is in. */
  #nap = new AbortController();
  readonly #given = new AbortController();

  constructor(options: StreamWriterOptions) {
    this.#options = options;
  }

  get isIdle(): boolean {
    return this.#running === undefined;
  }

  get linesWaiting(): number {
    return this.#options.lines.lines;
  }

  add(lines: readonly LogLine[]): void {
    for (const line of lines) this.#options.lines.add(line);
    if (this.#options.lines.fillsCall && this.#failures === 0) this.#nap.abort();
    if (!this.#options.lines.isEmpty) this.#running ??= this.#run();
  }

  /** Sends what waits without waiting for more; resolves when all was taken, or the signal aborts. */
  async flush(signal: AbortSignal): Promise<void> {
    if (this.#running === undefined || signal.aborted) return;
    this.#urgent += 1;
    this.#nap.abort();
    const over = Promise.withResolvers<undefined>();
    const abort = () => over.resolve(undefined);
    signal.addEventListener("abort", abort, { once: true });
    await Promise.race([this.#running, over.promise]);
    signal.removeEventListener("abort", abort);
    this.#urgent -= 1;
  }

  /** Ends it now; answers how many lines were not taken. */
  async giveUp(): Promise<number> {
    this.#given.abort();
    this.#nap.abort();
    await this.#running;
    const left = this.#options.lines.lines;
    this.#options.lines.discard();
    return left;
  }

  async #run(): Promise<void> {
    const { lines, flushSeconds } = this.#options;
    while (!lines.isEmpty && !this.#given.signal.aborted) {
      if (this.#failures > 0) await this.#pause(this.#backOffMs());
      else if (this.#urgent === 0 && !lines.fillsCall) await this.#pause(flushSeconds * 1000);
      await this.#callOnce();
    }
    this.#running = undefined;
  }

  async #callOnce(): Promise<void> {
    const { lines, calls, stream, onTaken } = this.#options;
    let operation: LogOperation = "CreateLogStream";
    try {
      this.#given.signal.throwIfAborted();
      if (!this.#created) await this.#create();
      operation = "PutLogEvents";
      const events = lines.take(this.#eventsMax);
      const rejected = await calls.put(stream, events, this.#given.signal);
      lines.answered();
      this.#failures = 0;
      this.#eventsMax = PUT_LIMITS.eventsMax;
      onTaken();
      this.#rejected(events, rejected);
    } catch (error) {
      await this.#failed(error, operation);
    }
  }

  async #create(): Promise<void> {
    try {
      await this.#options.calls.createStream(this.#options.stream, this.#given.signal);
    } catch (error) {
      if (faultOf(error) !== "exists") throw error;
    }
    this.#created = true;
  }

  async #failed(error: unknown, operation: LogOperation): Promise<void> {
    const { lines, calls, onFault } = this.#options;
    if (this.#given.signal.aborted) return lines.notTaken();
    const fault = faultOf(error);
    if (fault === "invalid" && operation === "PutLogEvents") return this.#isolate(error);
    lines.notTaken();
    this.#failures += 1;
    if (fault === "missing" && operation === "PutLogEvents" && this.#created) {
      this.#created = false; // removed meanwhile; whether the group is missing, the next CreateLogStream says
      return;
    }
    // a provider that has none either is asked again with the next call
    if (fault === "credentials") await calls.renewCredentials().catch(() => undefined);
    onFault(error, operation, this.#failures);
  }

  /** Half as many, and at last the one event that is not taken goes, so that it does not hold up all others. */
  #isolate(error: unknown): void {
    const { lines, onFault } = this.#options;
    const events = lines.take(this.#eventsMax);
    if (events.length > 1) {
      this.#eventsMax = Math.ceil(events.length / 2);
      return lines.notTaken();
    }
    lines.answered();
    lines.givenUp(events);
    this.#eventsMax = PUT_LIMITS.eventsMax;
    this.#failures += 1;
    onFault(error, "PutLogEvents", this.#failures);
  }

  /** Answered, but not all were taken: their times are too old or too new by the service's clock. */
  #rejected(events: readonly LogEvent[], rejected: RejectedLogEventsInfo | undefined): void {
    if (rejected === undefined) return void (this.#restamped = false);
    const { lines, say } = this.#options;
    const oldEnd = Math.max(rejected.tooOldLogEventEndIndex ?? 0, rejected.expiredLogEventEndIndex ?? 0);
    const newStart = rejected.tooNewLogEventStartIndex ?? events.length;
    const refused = [...events.slice(0, oldEnd), ...events.slice(Math.max(newStart, oldEnd))];
    if (refused.length === 0) return;
    if (this.#restamped) {
      say("CloudWatch Logs refuses lines for their times, and they are lost: check this machine's clock");
      return;
    }
    this.#restamped = true;
    lines.addAgain(refused);
  }

  #backOffMs(): number {
    const grown = PAUSE_FIRST_MS * 2 ** Math.min(this.#failures - 1, 10);
    const longest = Math.min(grown, this.#urgent > 0 ? PAUSE_URGENT_MS : PAUSE_LAST_MS);
    return longest * (0.5 + this.#options.random.fraction() / 2);
  }

  /** Ends early for a full call, a flush, and the end. */
  async #pause(milliseconds: number): Promise<void> {
    this.#nap = new AbortController();
    try {
      await this.#options.clock.sleep(milliseconds, this.#nap.signal);
    } catch (error) {
      if (!this.#nap.signal.aborted) throw error;
    }
  }
}
