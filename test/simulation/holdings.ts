import type { LedgerLine, VerdictLine } from "../../services/protocol/ledger.ts";
import type { BatchMessage } from "../../services/protocol/messages.ts";
import { addLine, holds, newWorkerFacts, type WorkerFacts } from "../../services/protocol/worker-facts.ts";
import type { World } from "./world.ts";

interface Holder {
  readonly job: string;
  readonly facts: WorkerFacts;
  wroteAtMs: number;
  /** Since when its durable lines have said what it holds now. */
  heldSinceMs: number;
}

/** Who holds which batch, as the ledgers say, and what may be sent again or acked by that. */
export class Holdings {
  readonly #world: World;
  readonly #holders = new Map<string, Holder>();
  /** Attempts that an outcome or a verdict stands over. */
  readonly #written = new Set<string>();
  /** Copies of a batch that a worker was given. */
  readonly #given = new Map<string, number>();
  readonly #ended = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  wrote(worker: string, job: string, line: LedgerLine): void {
    const { nowMs } = this.#world;
    const holder = this.#holders.get(worker) ?? {
      job,
      facts: newWorkerFacts(worker),
      wroteAtMs: nowMs,
      heldSinceMs: nowMs,
    };
    this.#holders.set(worker, holder);
    holder.wroteAtMs = nowMs;
    if (line.t === "held" && JSON.stringify(line.held) !== JSON.stringify(holder.facts.held))
      holder.heldSinceMs = nowMs;
    addLine(holder.facts, line);
    if (line.t === "outcome") this.#written.add(attempt(job, line));
  }

  judged(job: string, line: VerdictLine): void {
    if (line.range === undefined) this.#written.add(attempt(job, line)); // else its attempt goes on
  }

  delivered(message: BatchMessage, worker: string): void {
    const name = `${worker}/${message.job}/${String(message.batch)}`;
    this.#given.set(name, (this.#given.get(name) ?? 0) + 1);
  }

  /** P4: what is acked is written down. A second copy of what the worker holds goes without. */
  acked(message: BatchMessage, worker: string): void {
    if (this.#written.has(attempt(message.job, message))) return;
    if ((this.#given.get(`${worker}/${message.job}/${String(message.batch)}`) ?? 0) > 1) return;
    if (Number(worker.split("-")[0]) > message.epoch) return;
    this.#world.broken(
      `P4: ${worker} acked batch ${String(message.batch)} of job ${message.job} before anything of it was durable`,
    );
  }

  /** I18: nobody fresh holds what is sent again. Only where the driver can know: nothing is slow, lost or cut off. */
  sentAgain(message: BatchMessage): void {
    const world = this.#world;
    const { slow, late, lostReply, lostRequest, freeze, cutOff, crashWorker, drained, poolGone } = world.chosenRates;
    if (slow + late + lostReply + lostRequest + freeze + cutOff + crashWorker + drained + poolGone > 0) return;
    for (const [worker, { job, facts, wroteAtMs, heldSinceMs }] of this.#holders) {
      const fresh = !facts.left && world.nowMs - wroteAtMs < world.leaseMs && world.nowMs - heldSinceMs > 1_000;
      if (job !== message.job || !fresh || !holds(facts, message.batch)) continue;
      if (this.#ended.has(worker)) continue;
      world.broken(`I18: batch ${String(message.batch)} of job ${job} is sent again while ${worker} holds it`);
    }
  }

  /** Its process is gone. */
  ended(worker: string): void {
    this.#ended.add(worker);
  }
}

function attempt(job: string, of: { readonly batch: number; readonly attempt: number }): string {
  return `${job}/${String(of.batch)}/${String(of.attempt)}`;
}
