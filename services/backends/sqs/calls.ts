/** One request until it is answered for good: turns, retries with jitter within a budget, and what is said about it. */
import type { Clock, Random } from "../clock.ts";
import type { CallWindow } from "./call-window.ts";
import { errorOf, faultOf, type FailedRequest, type SqsFault } from "./faults.ts";

export type SqsRequestOutcome = "answered" | SqsFault;

export interface SqsCallsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly window: CallWindow;
  readonly onRequest: (kind: FailedRequest["kind"], outcome: SqsRequestOutcome) => void;
  /** A sentence for the log. */
  readonly onNotice: (sentence: string) => void;
  readonly renewCredentials: (url: string) => Promise<void>;
}

export interface SqsCall extends FailedRequest {
  /** Monotonic milliseconds: no retry begins later. */
  readonly untilMs: number;
  /** A long poll takes no turn: it would keep it for its whole wait. */
  readonly waits?: boolean;
}

/** Doubles from the one to the other. */
const WAIT_MS_MIN = 100;
const WAIT_MS_MAX = 5_000;

/** What time may heal. */
const RETRIED: ReadonlySet<SqsFault> = new Set(["throttled", "unreachable", "credentials"]);

export function isTemporary(fault: SqsFault): boolean {
  return RETRIED.has(fault);
}

export class SqsCalls {
  readonly #options: SqsCallsOptions;
  #expired = false;

  constructor(options: SqsCallsOptions) {
    this.#options = options;
  }

  /** Names the present state of the window, for `slowDown`. */
  get turn(): number {
    return this.#options.window.turn;
  }

  /** An entry of a request that began in that turn was throttled. */
  slowDown(turn: number): void {
    this.#options.window.wasThrottled(turn);
  }

  /** Throws `LaneGone` or `SqsError`. */
  async run<T>(call: SqsCall, request: () => Promise<T>): Promise<T> {
    for (let failures = 0; ; failures += 1) {
      const turn = call.waits === true ? this.#options.window.turn : await this.#options.window.enter();
      let failed: { readonly error: unknown; readonly fault: SqsFault };
      try {
        const answer = await request();
        this.#answered(call);
        return answer;
      } catch (error) {
        failed = { error, fault: faultOf(error) };
        this.#failed(call, failed.fault, turn);
      } finally {
        if (call.waits !== true) this.#options.window.leave();
      }
      if (!isTemporary(failed.fault) || !(await this.backOff(call, failures))) {
        throw errorOf(failed.error, failed.fault, call);
      }
      if (failed.fault === "credentials") await this.#renewCredentials(call);
    }
  }

  /** Waits before the next try, longer after each failure. False: the budget is spent. */
  async backOff({ untilMs }: SqsCall, failures: number): Promise<boolean> {
    const { clock, random } = this.#options;
    const waitMs = Math.min(WAIT_MS_MAX, WAIT_MS_MIN * 2 ** failures) * (0.5 + random.fraction() / 2);
    if (clock.monotonicMs() + waitMs > untilMs) return false;
    await clock.sleep(waitMs);
    return true;
  }

  #answered({ kind }: SqsCall): void {
    this.#options.window.wentWell();
    this.#options.onRequest(kind, "answered");
    if (!this.#expired) return;
    this.#expired = false;
    this.#options.onNotice("the AWS credentials are good again: SQS answers");
  }

  #failed({ kind, lane, url }: SqsCall, fault: SqsFault, turn: number): void {
    this.#options.onRequest(kind, fault);
    if (fault === "throttled") this.#options.window.wasThrottled(turn);
    if (fault !== "credentials" || this.#expired) return;
    this.#expired = true;
    this.#options.onNotice(
      `the AWS credentials for lane ${lane} (${url}) are missing or expired: work goes on when new ones come`,
    );
  }

  /** A provider that has none either is asked again with the next try. */
  async #renewCredentials({ url }: SqsCall): Promise<void> {
    await this.#options.renewCredentials(url).catch(() => undefined);
  }
}
