import { isFinal, type JobState } from "../../services/protocol/states.ts";
import { Problem } from "../../services/protocol/problems.ts";
import { SimulatedProcess } from "./simulated-process.ts";
import type { SimulatedService } from "./simulated-service.ts";
import { API, type PlannedJob } from "./workload.ts";
import type { World } from "./world.ts";

/** How long a user waits for an answer before they ask again. */
const PATIENCE_MS = 3_000;

/** A job with the user who submits it, and perhaps stops it. */
export class UserJob {
  readonly planned: PlannedJob;
  /** The items that its retry must run, by their indexes here. */
  toRetry: readonly number[] = [];
  /** The job of its retry, once that was accepted. */
  retried: UserJob | undefined;
  readonly #world: World;
  readonly #user: SimulatedProcess;
  /** Known once its spec is stored. */
  id: string | undefined;
  #state: JobState = "pending";
  /** Its user has yet to hear of the retry that was planned. */
  #awaitsRetry: boolean;
  #end: () => void = () => undefined;
  readonly #ended = new Promise<void>((resolve) => {
    this.#end = resolve;
  });
  /** Call it when what its files are is written down for good. */
  listed: () => void = () => undefined;
  /** Call it when a worker has claimed its hook. */
  hookClaimed: () => void = () => undefined;
  readonly #claim = new Promise<void>((resolve) => {
    this.hookClaimed = resolve;
  });

  constructor(world: World, planned: PlannedJob) {
    this.#world = world;
    this.planned = planned;
    this.#awaitsRetry = planned.retry !== undefined;
    this.#user = new SimulatedProcess(world, { kind: "client", name: "user" });
  }

  get name(): string {
    return this.id === undefined ? this.planned.idempotencyKey : this.id.slice(-5);
  }

  get state(): JobState {
    return this.#state;
  }

  set state(state: JobState) {
    this.#state = state;
    if (isFinal(state)) this.#end();
  }

  /** It is final, and its user wants nothing more of it. */
  get isOver(): boolean {
    return isFinal(this.#state) && !this.#awaitsRetry;
  }

  get batches(): number {
    return Math.ceil(this.planned.items.length / this.planned.batchSize);
  }

  /** Virtual time within which it must be final, once nothing goes wrong any more. */
  boundMs(leaseMs: number): number {
    const { script, submission } = this.planned;
    const runMs = Math.max(script.secondsMax * 1000, (submission.batchTimeoutSeconds ?? 0) * 1000);
    const attempts = submission.attempts ?? 1;
    const batches = this.planned.retry === undefined ? this.batches : this.batches + this.planned.items.length;
    const jobs = this.planned.retry === undefined ? 1 : 2;
    return jobs * (36 + attempts * 6) * leaseMs + batches * attempts * runMs;
  }

  /** Its retry was accepted as this job. */
  retriedAs(id: string): UserJob {
    const { planned, toRetry } = this;
    if (this.retried !== undefined) this.#world.broken(`I13: one retry of job ${this.name} made two jobs`);
    this.retried = new UserJob(this.#world, {
      ...planned,
      items: toRetry.map((index) => planned.items[index] ?? ""),
      batchSize: planned.retry?.batchSize ?? planned.batchSize,
      script: { ...planned.script, badMachine: false },
      stopAtMs: undefined,
      idempotencyKey: `${planned.idempotencyKey}-retry`,
      retry: undefined,
    });
    this.retried.id = id;
    return this.retried;
  }

  /** Once it has ended: asks for the job of what failed, if so planned. `itemsToRetry`: what it must run. */
  async #retry(service: () => SimulatedService | undefined, itemsToRetry: () => Promise<number[]>): Promise<void> {
    const { retry, idempotencyKey } = this.planned;
    if (retry === undefined) return;
    await this.#ended;
    await this.#user.sleep(retry.afterMs);
    this.toRetry = await itemsToRetry();
    const { items, batchSize } = retry;
    const options = { principal: "user", idempotencyKey: `${idempotencyKey}-retry` };
    const ask = ({ jobs }: SimulatedService) => jobs.retry(API, this.id ?? "", { items, batchSize, version: "newest" }, options); // prettier-ignore
    const accepted = await this.#insist(service, ask).catch((error: unknown) => {
      if (error instanceof Problem && error.code === "nothing_to_retry") return undefined;
      throw error;
    });
    if ((accepted === undefined) !== (this.toRetry.length === 0))
      this.#world.broken(`job ${this.name} has ${String(this.toRetry.length)} items to retry, and its user is told otherwise`); // prettier-ignore
    if (accepted?.spec.job !== this.retried?.id)
      this.#world.broken(`I13: the retry of job ${this.name} is another job than its user is told of`);
    if (accepted !== undefined) this.#world.count(`retried: ${items}`);
    this.#awaitsRetry = false;
  }

  /**
   * Submits until somebody has accepted it; then, if so planned, asks for the stop, and for the retry when it has ended.
   * `service`: whoever answers now.
   */
  live(service: () => SimulatedService | undefined, itemsToRetry: () => Promise<number[]>): void {
    const { planned } = this;
    const life = async () => {
      await this.#user.sleep(planned.submitAtMs);
      const { spec } = await this.#insist(service, ({ jobs }) => {
        return jobs.submit(API, planned.submission, { principal: "user", idempotencyKey: planned.idempotencyKey });
      });
      if (this.id !== spec.job)
        this.#world.broken(`I13: job ${this.name} was accepted, and its user is told of ${spec.job}`);
      this.#world.tell(
        "user",
        () => `has job ${spec.job} of ${String(this.batches)} batches (${planned.submission.input.kind})`,
      );
      if (planned.stopAtMs === undefined) return;
      if (planned.stopAtMs === "claimed") await this.#claim;
      else await this.#user.sleep(planned.stopAtMs - planned.submitAtMs);
      await this.#insist(service, ({ jobs }) => jobs.stop(API, spec.job)).catch((error: unknown) => {
        if (!(error instanceof Problem && error.code === "job_is_final")) throw error;
      });
    };
    for (const part of [life(), this.#retry(service, itemsToRetry)])
      part.catch((error: unknown) => {
        this.#world.broken(
          `a user was told: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        );
      });
  }

  /** Asks again and again; a Problem is an answer. */
  async #insist<T>(
    service: () => SimulatedService | undefined,
    ask: (service: SimulatedService) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      const asked = service();
      const late = new AbortController();
      if (asked !== undefined) {
        try {
          const none = this.#user.sleep(PATIENCE_MS, late.signal).then(() => undefined);
          const answer = await Promise.race([ask(asked).then((value) => ({ value })), none]);
          if (answer !== undefined) return answer.value;
        } catch (error) {
          if (error instanceof Problem) throw error;
        } finally {
          late.abort();
        }
      }
      await this.#user.sleep(200);
    }
  }
}
