/** Submissions at a steady pace through a Service, many of them under a key that was used before, and what was answered. */
import { randomUUID } from "node:crypto";
import type { JobOnWire } from "../../support/api-user.ts";
import { API, type DeclaredApi } from "../support/a-declared-api.ts";

export interface LoadShape {
  /** Submissions a second, where the machine carries them. */
  readonly perSecond: number;
  /** Of these, how many have a new idempotency key and so make a job; each is sent twice at once. The others repeat an earlier one. */
  readonly keysPerSecond: number;
  /** So many unanswered ones at a time: where answers come late the pace gives way, and not the machine. */
  readonly inFlightMax: number;
}

export interface Submitted {
  readonly key: string;
  /** From the start of the load. */
  readonly sentAtSeconds: number;
  readonly tookMilliseconds: number;
  /** Undefined where it was not accepted. */
  readonly job: JobOnWire | undefined;
  /** What was said where it was not accepted, or why there was no answer. */
  readonly fault: string;
}

const TICK_MILLISECONDS = 10;
/** Walks through all earlier keys, whatever their number. */
const STRIDE = 7919;

/** Runs from its making until `end`. */
export class SteadyLoad {
  readonly #api: DeclaredApi;
  readonly #shape: LoadShape;
  readonly #answered: Submitted[] = [];
  readonly #inFlight = new Set<Promise<void>>();
  readonly #begun = performance.now();
  readonly #timer: NodeJS.Timeout;
  /** Keys of another load are others. */
  readonly #name = randomUUID();
  #sent = 0;
  #keys = 0;

  constructor(api: DeclaredApi, shape: LoadShape) {
    this.#api = api;
    this.#shape = shape;
    this.#timer = setInterval(() => {
      this.#sendWhatIsDue();
    }, TICK_MILLISECONDS);
  }

  /** Since it began. */
  get seconds(): number {
    return (performance.now() - this.#begun) / 1000;
  }

  /** Sends no more, and resolves with all answers. */
  async end(): Promise<readonly Submitted[]> {
    clearInterval(this.#timer);
    await Promise.all(this.#inFlight);
    return this.#answered;
  }

  #sendWhatIsDue(): void {
    const { perSecond, keysPerSecond, inFlightMax } = this.#shape;
    while (this.#inFlight.size < inFlightMax && this.#sent < this.seconds * perSecond) {
      if (this.#keys < this.seconds * keysPerSecond) {
        this.#keys += 1;
        this.#send(this.#keys);
        this.#send(this.#keys);
      } else this.#send(1 + ((this.#sent * STRIDE) % this.#keys));
    }
  }

  #send(key: number): void {
    this.#sent += 1;
    const sent = this.#submit(`${this.#name}-${String(key)}`).then((answered) => {
      this.#answered.push(answered);
      this.#inFlight.delete(sent);
    });
    this.#inFlight.add(sent);
  }

  async #submit(key: string): Promise<Submitted> {
    const [begun, sentAtSeconds] = [performance.now(), this.seconds];
    const { job, fault } = await this.#answer(key).catch((error: unknown) => {
      const { cause } = error as Error;
      return { job: undefined, fault: `${String(error)} ${cause instanceof Error ? cause.message : ""}` };
    });
    const when = `at ${sentAtSeconds.toFixed(1)} s: `;
    return {
      ...{ key, sentAtSeconds, job, tookMilliseconds: performance.now() - begun },
      fault: fault === "" ? "" : when + fault,
    };
  }

  async #answer(key: string): Promise<Pick<Submitted, "job" | "fault">> {
    const body = { workers: 1, item_list: { items: [{ at: 0 }], batch_size: 1 } };
    const reply = await this.#api.post(API, body, { "idempotency-key": key });
    const text = await reply.text();
    if (reply.status !== 202) return { job: undefined, fault: `${String(reply.status)} ${text.slice(0, 300)}` };
    return { job: JSON.parse(text) as JobOnWire, fault: "" };
  }
}

/** Which version new jobs get when: from the beginning of its update to the end of the next one. */
export interface Period {
  readonly version: unknown;
  readonly fromSeconds: number;
  untilSeconds: number;
}

/** The first answer to each key. Throws when a later one, perhaps of another replica and another version, names another job. */
export function jobsByKey(submitted: readonly Submitted[]): readonly (Submitted & { readonly job: JobOnWire })[] {
  const first = new Map<string, Submitted & { readonly job: JobOnWire }>();
  for (const { job, ...rest } of submitted) {
    if (job === undefined) continue;
    const known = first.get(rest.key);
    if (known === undefined) first.set(rest.key, { ...rest, job });
    else if (known.job.job_id !== job.job_id || known.job.version !== job.version) {
      throw new Error(`${rest.key} stands for ${known.job.job_id} and for ${job.job_id}`);
    }
  }
  return [...first.values()];
}

/** Whether a job got a version that was the API's while it was submitted. */
export function isOfItsTime(
  { job, sentAtSeconds, tookMilliseconds }: Submitted & { readonly job: JobOnWire },
  periods: readonly Period[],
): boolean {
  const answeredAtSeconds = sentAtSeconds + tookMilliseconds / 1000;
  return periods.some(({ version, fromSeconds, untilSeconds }) => {
    return job.version === version && fromSeconds <= answeredAtSeconds && sentAtSeconds <= untilSeconds;
  });
}

/** A line for whoever reads the run. */
export function summaryOf(submitted: readonly Submitted[], periods: readonly Period[]): string {
  const seconds = Math.max(...submitted.map(({ sentAtSeconds }) => sentAtSeconds));
  const sorted = submitted.map(({ tookMilliseconds }) => tookMilliseconds).sort((one, other) => one - other);
  const within = (share: number) => (sorted[Math.ceil(share * sorted.length) - 1] ?? 0).toFixed(0);
  const updates = periods.slice(1).map(({ fromSeconds }) => `${fromSeconds.toFixed(0)} s`);
  return (
    `${String(submitted.length)} submissions of ${String(new Set(submitted.map(({ key }) => key)).size)} jobs ` +
    `in ${seconds.toFixed(0)} s (${(submitted.length / seconds).toFixed(0)} a second), updates at ${updates.join(", ")}; ` +
    `half answered within ${within(0.5)} ms, 99 % within ${within(0.99)} ms, the last within ${within(1)} ms`
  );
}
