/** The log store in CloudWatch Logs: a group for an API, a stream `<job>/<worker>` for each of its workers. */
import type { Clock, Random } from "./clock.ts";
import { LogCalls } from "./cloudwatch/log-calls.ts";
import type { LogCallsOptions } from "./cloudwatch/log-calls.ts";
import { faultOf, sentenceOf } from "./cloudwatch/log-faults.ts";
import type { LogFault, LogOperation } from "./cloudwatch/log-faults.ts";
import { scanLines } from "./cloudwatch/log-scan.ts";
import { ReadCursor } from "./cloudwatch/read-cursor.ts";
import { StreamWriter } from "./cloudwatch/stream-writer.ts";
import { WaitingLines } from "./cloudwatch/waiting-lines.ts";
import type { LogBudget } from "./cloudwatch/waiting-lines.ts";
import { LOG_LINES_DEFAULT } from "./log-merge.ts";
import type { LogLine, LogPage, LogQuery, LogStore } from "./log-store.ts";
import { isSegment } from "./object-key.ts";
import { Unwell } from "./unwell.ts";
import { jobStartedAt } from "../protocol/ids.ts";

export interface CloudWatchLogStoreOptions extends LogCallsOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Lines wait so long for others, seconds; default 2. A thousand workers then make 500 calls a second, of the 800 to 5,000 that an account has. */
  readonly flushSeconds?: number;
  /** Memory for lines that wait, bytes; default 32 MiB. What exceeds it goes, the oldest first, and is counted in the log. */
  readonly bufferBytesMax?: number;
  /** What one worker may log; what exceeds it is cut, and counted in the log. Default: `LIMITS`. */
  readonly bytesPerSecond?: number;
  readonly burstBytes?: number;
  /** FilterLogEvents a second of this process; default 4, of the 5 or 10 that an account has in a region. */
  readonly readsPerSecond?: number;
  /** Lines that come later than this behind those of other workers may be missed by who follows, seconds; default 15. */
  readonly lateSeconds?: number;
  /** Hears a sentence when lines cannot be written, and when they are again; once each. */
  readonly say?: (sentence: string) => void;
}

const BUFFER_BYTES = 32 * 1024 * 1024;
const FLUSH_SECONDS = 2;
/** Of `flush` and `close`: within the grace of a pod that is drained. */
const DRAIN_SECONDS = 20;
/** Of the lines of one's own, before they are read. */
const READ_FLUSH_SECONDS = 2;
/** Writers that have nothing to write are kept for so many streams, so that these are not created again. */
const WRITERS_KEPT = 1_000;
const ATTEMPTS_MAX = 8;
const RETRY_FIRST_MS = 200;
const RETRY_LAST_MS = 5_000;
/** Clocks of workers and of the service that named the job may differ. */
const EARLY_MS = 3600_000;

/**
 * Owns its connections and the lines that wait: `append` takes them into a bounded buffer and resolves at once, `flush` waits until the
 * service has them, `close` ends it. A line may be written twice when an answer was lost; `read` shows it once.
 */
export class CloudWatchLogStore implements LogStore {
  readonly #options: CloudWatchLogStoreOptions;
  readonly #calls: LogCalls;
  readonly #budget: LogBudget;
  readonly #writers = new Map<string, StreamWriter>();
  /** Faults that were said and still last. */
  readonly #said = new Set<string>();
  #clockSaid = false;
  #closed = false;
  #readTokens: number;
  #readEarnedMs: number;

  constructor(options: CloudWatchLogStoreOptions) {
    this.#options = options;
    this.#calls = new LogCalls(options);
    this.#budget = { bytesMax: options.bufferBytesMax ?? BUFFER_BYTES, bytesHeld: 0 };
    this.#readTokens = 2 * this.#readsPerSecond;
    this.#readEarnedMs = options.clock.monotonicMs();
  }

  /** Rejects only for names that cannot be a stream's; what the service does not take is said through `say`. */
  async append(job: string, worker: string, lines: readonly LogLine[]): Promise<void> {
    const stream = `${checked("job", job)}/${checked("worker", worker)}`;
    if (this.#closed || lines.length === 0) return;
    this.#writerOf(stream, worker).add(lines);
  }

  async read(job: string, query: LogQuery): Promise<LogPage> {
    const cursor = ReadCursor.parse(query.cursor);
    const { clock, lateSeconds = 15 } = this.#options;
    const own = [...this.#writers].filter(([stream]) => stream.startsWith(`${checked("job", job)}/`));
    await this.#flush(
      own.map(([, writer]) => writer),
      READ_FLUSH_SECONDS,
    );
    const scanned = await scanLines(
      (request) => this.#again("FilterLogEvents", () => this.#inTurn(() => this.#calls.filter(request))),
      {
        job,
        worker: query.worker,
        linesMax: Math.max(query.linesMax ?? LOG_LINES_DEFAULT, 1),
        notBefore: Math.max(0, (jobStartedAt(job) ?? 0) - EARLY_MS),
      },
      cursor,
    );
    cursor.advance(
      scanned.map(({ place }) => place),
      clock.wallMs() + this.#calls.aheadMs - lateSeconds * 1000,
    );
    return {
      lines: scanned.map(({ line }) => line),
      cursor: scanned.length === 0 && query.cursor !== undefined ? query.cursor : cursor.toString(),
    };
  }

  async remove(job: string): Promise<void> {
    const prefix = `${checked("job", job)}/`;
    for (const [stream, writer] of [...this.#writers]) {
      if (!stream.startsWith(prefix)) continue;
      this.#writers.delete(stream);
      await writer.giveUp();
    }
    for (;;) {
      const streams = await this.#again("DescribeLogStreams", () => this.#calls.streams(prefix));
      if (streams.length === 0) return;
      for (const stream of streams) {
        await this.#again("DeleteLogStream", () => this.#deleted(stream));
      }
    }
  }

  /** Waits until the service has all lines that were appended, at most `seconds` (default 20); answers how many it has not. */
  async flush(seconds: number = DRAIN_SECONDS): Promise<number> {
    const writers = [...this.#writers.values()];
    await this.#flush(writers, seconds);
    return writers.reduce((lines, writer) => lines + writer.linesWaiting, 0);
  }

  /** Flushes, gives up what is left and says how much that was; then takes no more. */
  async close(seconds: number = DRAIN_SECONDS): Promise<void> {
    this.#closed = true;
    await this.flush(seconds);
    let left = 0;
    for (const writer of this.#writers.values()) left += await writer.giveUp();
    this.#writers.clear();
    this.#calls.close();
    if (left === 0) return;
    this.#options.say?.(`${String(left)} log lines are lost: log group ${this.#calls.group} did not take them in time`);
  }

  get #readsPerSecond(): number {
    return this.#options.readsPerSecond ?? 4;
  }

  #writerOf(stream: string, worker: string): StreamWriter {
    const found = this.#writers.get(stream);
    if (found !== undefined) return found;
    this.#forgetIdle();
    const { clock, random, bytesPerSecond, burstBytes, flushSeconds = FLUSH_SECONDS } = this.#options;
    const lines = new WaitingLines({
      clock,
      budget: this.#budget,
      writer: random.hex(2),
      from: worker === "service" ? "service" : "worker",
      aheadMs: () => this.#calls.aheadMs,
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
      ...(burstBytes === undefined ? {} : { burstBytes }),
    });
    const writer = new StreamWriter({
      stream,
      calls: this.#calls,
      clock,
      random,
      lines,
      flushSeconds,
      onFault: (error, operation, failures) => this.#failed(error, operation, failures),
      onTaken: () => this.#taken(),
      say: (sentence) => {
        if (!this.#clockSaid) this.#options.say?.(sentence);
        this.#clockSaid = true;
      },
    });
    this.#writers.set(stream, writer);
    return writer;
  }

  #forgetIdle(): void {
    for (const [stream, writer] of this.#writers) {
      if (this.#writers.size < WRITERS_KEPT) return;
      if (writer.isIdle) this.#writers.delete(stream);
    }
  }

  async #flush(writers: readonly StreamWriter[], seconds: number): Promise<void> {
    const busy = writers.filter((writer) => !writer.isIdle);
    if (busy.length === 0) return;
    const over = new AbortController();
    const done = new AbortController();
    const deadline = this.#options.clock.sleep(seconds * 1000, done.signal).then(
      () => over.abort(),
      () => undefined, // all were done before it
    );
    await Promise.all(busy.map((writer) => writer.flush(over.signal)));
    done.abort();
    await deadline;
  }

  #failed(error: unknown, operation: LogOperation, failures: number): void {
    const fault = faultOf(error);
    // others often pass with the next call
    if (failures < 2 && fault !== "denied" && fault !== "missing") return;
    const sentence = sentenceOf(fault, error, this.#calls.group, operation);
    if (sentence === undefined || this.#said.has(fault)) return;
    this.#said.add(fault);
    this.#options.say?.(`${sentence}; lines wait in memory and the oldest are cut when it is full`);
  }

  #taken(): void {
    if (this.#said.size === 0) return;
    this.#said.clear();
    this.#options.say?.(`log group ${this.#calls.group} takes lines again`);
  }

  async #deleted(stream: string): Promise<void> {
    try {
      await this.#calls.deleteStream(stream);
    } catch (error) {
      if (faultOf(error) !== "missing") throw error; // another one has removed it
    }
  }

  /** Repeats what passes by itself; throws one sentence for what does not. */
  async #again<Answer>(operation: LogOperation, call: () => Promise<Answer>): Promise<Answer> {
    const { clock, random } = this.#options;
    for (let failures = 1; ; failures++) {
      try {
        return await call();
      } catch (error) {
        const fault: LogFault = faultOf(error);
        const passes = fault === "throttled" || fault === "unreachable" || fault === "credentials";
        if (!passes || failures >= ATTEMPTS_MAX) {
          const { group } = this.#calls;
          const sentence =
            sentenceOf(fault, error, group, operation) ?? `log group ${group} is throttled: ask again later`;
          throw new Unwell(sentence, { cause: error });
        }
        if (fault === "credentials") await this.#calls.renewCredentials().catch(() => undefined); // asked again with the next call
        const longest = Math.min(RETRY_FIRST_MS * 2 ** failures, RETRY_LAST_MS);
        await clock.sleep(longest * (0.5 + random.fraction() / 2));
      }
    }
  }

  /** Waits for a turn: whoever follows asks often, and the account's limit is low. */
  async #inTurn<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    const { clock } = this.#options;
    const now = clock.monotonicMs();
    const earned = ((now - this.#readEarnedMs) / 1000) * this.#readsPerSecond;
    this.#readTokens = Math.min(2 * this.#readsPerSecond, this.#readTokens + earned) - 1;
    this.#readEarnedMs = now;
    if (this.#readTokens < 0) await clock.sleep((-this.#readTokens / this.#readsPerSecond) * 1000);
    return await call();
  }
}

function checked(what: string, name: string): string {
  if (isSegment(name) && !/[:*]/.test(name)) return name;
  throw new RangeError(
    `${what} ${JSON.stringify(name.slice(0, 100))} cannot name a log; give a ${what} as in its keys`,
  );
}
