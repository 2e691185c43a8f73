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
  readonly #world: World;
  readonly #user: SimulatedProcess;
  /** Known once its spec is stored. */
  id: string | undefined;
  state: JobState = "pending";

  constructor(world: World, planned: PlannedJob) {
    this.#world = world;
    this.planned = planned;
    this.#user = new SimulatedProcess(world, { kind: "client", name: "user" });
  }

  get name(): string {
    return this.id === undefined ? this.planned.idempotencyKey : this.id.slice(-5);
  }

  get isFinal(): boolean {
    return isFinal(this.state);
  }

  get batches(): number {
    return Math.ceil(this.planned.items.length / this.planned.batchSize);
  }

  /** Virtual time within which it must be final, once nothing goes wrong any more. */
  boundMs(leaseMs: number): number {
    const { script, submission } = this.planned;
    const runMs = Math.max(script.secondsMax * 1000, (submission.batchTimeoutSeconds ?? 0) * 1000);
    const attempts = submission.attempts ?? 1;
    return 36 * leaseMs + this.batches * attempts * runMs + attempts * 6 * leaseMs;
  }

  /** Submits until somebody has accepted it; then, if so planned, asks for the stop. `service`: whoever answers now. */
  live(service: () => SimulatedService | undefined): void {
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
      await this.#user.sleep(planned.stopAtMs - planned.submitAtMs);
      await this.#insist(service, ({ jobs }) => jobs.stop(API, spec.job)).catch((error: unknown) => {
        if (!(error instanceof Problem && error.code === "job_is_final")) throw error;
      });
    };
    life().catch((error: unknown) => {
      this.#world.broken(`a user was told: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
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
