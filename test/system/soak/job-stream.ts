/** Jobs of a soak: always several that are not final, so that they compete for lanes and the lanes go from hand to hand. */
import { setTimeout as sleep } from "node:timers/promises";
import { isFinal } from "../../../services/protocol/states.ts";
import type { ApiUser, JobOnWire } from "../../support/api-user.ts";

/** What a job is asked for, and what must come out of it. */
export interface SoakedJob {
  readonly body: object;
  /** Items that their handler refuses, by index. */
  readonly bad: readonly number[];
}

interface Submitted extends SoakedJob {
  job: JobOnWire;
}

/** A service that is down for longer than this is none that is struck now and then. */
const PATIENCE_MS = 60_000;
const LOOK_MS = 500;

export class JobStream {
  readonly submitted: Submitted[] = [];
  readonly #user: ApiUser;
  readonly #api: string;
  readonly #next: (number: number) => Promise<SoakedJob>;

  /** `next`: the job of a number, counted from 0. */
  constructor(user: ApiUser, api: string, next: (number: number) => Promise<SoakedJob>) {
    this.#user = user;
    this.#api = api;
    this.#next = next;
  }

  /** Keeps so many jobs alive until it is over. */
  async keep(alive: number, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      if (this.living.length < alive) await this.#submit();
      else await this.#look();
    }
  }

  /** Those that were not final when they were looked at last. */
  get living(): readonly Submitted[] {
    return this.submitted.filter(({ job }) => !isFinal(job.state));
  }

  /** Waits until all are final; answers them with what was asked. */
  async ended(seconds: number): Promise<readonly Submitted[]> {
    await Promise.all(
      this.submitted.map(async (one) => {
        one.job = await this.#user.ended(one.job, seconds);
      }),
    );
    return this.submitted;
  }

  /** Under one key until there is an answer: the service may die before, while and after it accepts. */
  async #submit(): Promise<void> {
    const soaked = await this.#next(this.submitted.length);
    const headers = { "idempotency-key": `soak-${String(this.submitted.length)}` };
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        this.submitted.push({ ...soaked, job: await this.#user.submit(this.#api, soaked.body, headers) });
        return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await sleep(200);
      }
    }
  }

  async #look(): Promise<void> {
    await sleep(LOOK_MS);
    for (const one of this.living) {
      const now = await this.#user.job(one.job).catch(() => undefined); // asked again soon
      if (now?.job_id === one.job.job_id) one.job = now; // no problem of a service that starts or leaves
    }
  }
}
