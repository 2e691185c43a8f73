import type { Clock, Random } from "../clock.ts";
import { failureOf, PASSING, type S3Failure } from "./s3-failure.ts";

/** How long one call goes on trying. */
export interface RetryBudget {
  /** Attempts in all. */
  readonly attemptsMax: number;
  /** From the first failure on. */
  readonly seconds: number;
  /** While credentials that worked are missing or expired, whatever the attempts: who renews them may take a while. */
  readonly credentialsSeconds: number;
  /** The same before any have worked: new rights of a pod take some seconds to arrive. */
  readonly firstCredentialsSeconds: number;
}

export const RETRY_BUDGET: RetryBudget = {
  attemptsMax: 20,
  seconds: 60,
  credentialsSeconds: 900,
  firstCredentialsSeconds: 60,
};

interface RetryOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly budget?: RetryBudget;
  /** Hears, once for each time that credentials fail and work again, a sentence about it. */
  readonly say?: (sentence: string) => void;
  /** Makes the next request ask for credentials anew. */
  readonly renewCredentials: () => void;
}

/** Pauses double from the first to the last of these, and are drawn from nothing to that (full jitter). */
const PAUSE_FIRST_MILLISECONDS = 50;
const PAUSE_LAST_MILLISECONDS = 5_000;
/** Asking the SDK's chain costs requests to whoever hands out credentials. */
const RENEW_EVERY_MILLISECONDS = 2_000;

/** Repeats requests whose failure passes. */
export class S3Retry {
  readonly #options: RetryOptions;
  readonly #budget: RetryBudget;
  #credentialsWorked = false;
  #credentialsMissing = false;
  #renewedMs = -Infinity;

  constructor(options: RetryOptions) {
    this.#options = options;
    this.#budget = options.budget ?? RETRY_BUDGET;
  }

  /** Answers what `request` answers, or throws the `S3Failure` that does not pass or outlasts the budget. */
  async run<Answer>(request: () => Promise<Answer>, heard?: (failure: S3Failure) => void): Promise<Answer> {
    const attempts = this.begin();
    for (;;) {
      try {
        return attempts.succeeded(await request());
      } catch (error) {
        const failure = failureOf(error);
        heard?.(failure);
        if (!PASSING.has(failure.kind)) throw failure;
        await attempts.pause(failure);
      }
    }
  }

  /** The attempts of one call, for a caller that decides itself what comes after a failure. */
  begin(): Attempts {
    return new Attempts(this.#options, this.#budget, {
      seconds: () => this.#credentialsSeconds(),
      lost: () => this.#lost(),
      found: () => this.#found(),
    });
  }

  #credentialsSeconds(): number {
    return this.#credentialsWorked ? this.#budget.credentialsSeconds : this.#budget.firstCredentialsSeconds;
  }

  #lost(): void {
    const { clock, say, renewCredentials } = this.#options;
    if (!this.#credentialsMissing) {
      say?.("S3 takes the AWS credentials no more, or there are none: trying new ones");
    }
    this.#credentialsMissing = true;
    if (clock.monotonicMs() - this.#renewedMs < RENEW_EVERY_MILLISECONDS) return;
    this.#renewedMs = clock.monotonicMs();
    renewCredentials();
  }

  #found(): void {
    this.#credentialsWorked = true;
    if (!this.#credentialsMissing) return;
    this.#credentialsMissing = false;
    this.#options.say?.("S3 takes the AWS credentials again");
  }
}

/** What all attempts together know of the credentials. */
interface CredentialsWatch {
  /** How long to wait for new ones. */
  readonly seconds: () => number;
  readonly lost: () => void;
  readonly found: () => void;
}

/** See `S3Retry.begin`. */
export class Attempts {
  readonly #options: RetryOptions;
  readonly #budget: RetryBudget;
  readonly #credentials: CredentialsWatch;
  #failed = 0;
  #credentialsFailed = 0;
  #firstMs: number | undefined;

  constructor(options: RetryOptions, budget: RetryBudget, credentials: CredentialsWatch) {
    this.#options = options;
    this.#budget = budget;
    this.#credentials = credentials;
  }

  succeeded<Answer>(answer: Answer): Answer {
    this.#credentials.found();
    return answer;
  }

  /** Waits before the next attempt; throws the failure when the budget is spent. */
  async pause(failure: S3Failure): Promise<void> {
    const { clock, random } = this.#options;
    const isCredentials = failure.kind === "credentials";
    this.#firstMs ??= clock.monotonicMs();
    if (isCredentials) this.#credentialsFailed += 1;
    else this.#failed += 1;
    const seconds = isCredentials ? this.#credentials.seconds() : this.#budget.seconds;
    const spentMs = clock.monotonicMs() - this.#firstMs;
    if (this.#failed >= this.#budget.attemptsMax || spentMs >= seconds * 1_000) throw failure;
    if (isCredentials) this.#credentials.lost();
    const doublings = Math.min(this.#failed + this.#credentialsFailed - 1, 20);
    const longest = Math.min(PAUSE_LAST_MILLISECONDS, PAUSE_FIRST_MILLISECONDS * 2 ** doublings);
    await clock.sleep(random.fraction() * longest);
  }
}
