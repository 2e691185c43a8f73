import { batchId } from "../../services/protocol/ids.ts";
import type { OutcomeLine } from "../../services/protocol/ledger.ts";
import type { Deed } from "./handler-script.ts";
import type { Deeds } from "./simulated-handler.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { UserJob } from "./user-job.ts";
import type { World } from "./world.ts";

/** What a job's handlers did, as they themselves would tell: to be held against what was written down. */
export class JobRuns {
  readonly #world: World;
  readonly #job: string;
  readonly #user: UserJob | undefined;
  readonly #batchOf = new Map<string, number>();
  /** Runs begun and ended, by batch. */
  readonly begun = new Map<number, number>();
  readonly ended = new Map<number, number>();
  /** The hook's. */
  hooksBegun = 0;
  hooksEnded = 0;
  readonly #sent = new Map<string, number>();

  constructor(world: World, job: string, user: UserJob | undefined) {
    this.#world = world;
    this.#job = job;
    this.#user = user;
    for (let batch = 0; batch < (user?.batches ?? 0); batch += 1) this.#batchOf.set(batchId(job, batch), batch);
  }

  /** How often this very attempt was sent in this epoch. */
  noteSent(epoch: number, batch: number, attempt: number): number {
    const name = `${String(epoch)}/${String(batch)}/${String(attempt)}`;
    const times = (this.#sent.get(name) ?? 0) + 1;
    this.#sent.set(name, times);
    return times;
  }

  /** I1, I14: what is written down as done was done. */
  noteOutcome({ batch, result }: OutcomeLine): void {
    if (result === "all" && (this.ended.get(batch) ?? 0) === 0) {
      this.#world.broken(
        `I1: job ${this.#job}: batch ${String(batch)} was written down as done, and never ran to its end`,
      );
    }
  }

  deeds(process: SimulatedProcess, onRun: (nowMs: number) => void): Deeds {
    const milliseconds = () => {
      const { secondsMin, secondsMax } = this.#user?.planned.script ?? { secondsMin: 0.01, secondsMax: 0.1 };
      return 1000 * this.#world.pace.between(secondsMin, secondsMax);
    };
    return {
      run: (meta, items) => {
        onRun(this.#world.nowMs);
        const batch = this.#batchNumber(meta.batch_id, process);
        this.#checkItems(batch, items);
        const run = bump(this.begun, batch);
        return { deed: this.#deed(batch, run), milliseconds: milliseconds() };
      },
      ran: (meta) => {
        bump(this.ended, this.#batchOf.get(meta.batch_id) ?? -1);
      },
      complete: () => {
        this.hooksBegun += 1;
        return { deed: this.#hookDeed(), milliseconds: milliseconds() };
      },
      completed: () => {
        this.hooksEnded += 1;
      },
    };
  }

  #deed(batch: number, run: number): Deed {
    const planned = this.#user?.planned.script.deeds.get(batch);
    if (planned === undefined) return "succeed";
    return planned.first[run - 1] ?? (planned.forever ? (planned.first[0] ?? "succeed") : "succeed");
  }

  #hookDeed(): Deed {
    const hook = this.#user?.planned.script.hook;
    if (hook === "raises") return "raise";
    return hook === "kills the worker once" && this.hooksBegun === 1 ? "kill the worker" : "succeed";
  }

  #batchNumber(id: string, process: SimulatedProcess): number {
    const batch = this.#batchOf.get(id);
    if (batch === undefined) {
      this.#world.broken(`I11: ${process.name} runs a batch that is none of its job ${this.#job}`);
      return -1;
    }
    return batch;
  }

  /** I4: the handler gets the items as they were submitted; those that are no JSON are left out. */
  #checkItems(batch: number, items: Buffer): void {
    if (this.#user === undefined || batch < 0) return;
    const { items: all, batchSize } = this.#user.planned;
    const wanted = all.slice(batch * batchSize, (batch + 1) * batchSize).filter((item) => !item.startsWith("bad"));
    const found = JSON.parse(items.toString("utf8")) as unknown[];
    if (JSON.stringify(found) === `[${wanted.join(",")}]`) return;
    this.#world.broken(`I4: batch ${String(batch)} of job ${this.#job} came to its handler with other items`);
  }
}

function bump(counts: Map<number, number>, batch: number): number {
  const count = (counts.get(batch) ?? 0) + 1;
  counts.set(batch, count);
  return count;
}
