import type { PoolWorker } from "../../backends/worker-pool.ts";
import type { GenerationFacts } from "../../protocol/driver-facts.ts";
import type { WorkerFacts } from "../../protocol/worker-facts.ts";
import { parseWorkerName } from "../../protocol/keys.ts";

/** Turns what the pool tells into facts about its newest generation. */
export class PoolWatch {
  #shortSinceMs: number | undefined;
  #shortGeneration = 0;

  facts(
    workers: readonly PoolWorker[],
    keep: Readonly<Record<string, number>>,
    ledgers: ReadonlyMap<string, WorkerFacts>,
    epoch: number,
    nowMs: number,
  ): GenerationFacts {
    const numbers = [...Object.keys(keep).map(Number), ...workers.map((worker) => worker.generation)];
    const highest = Math.max(0, ...numbers);
    const size = keep[String(highest)] ?? workers.filter((worker) => worker.generation === highest).length;
    const alive = (generation: number) => workers.filter((w) => w.generation === generation && w.phase !== "ended");
    const live = alive(highest).filter((worker) => worker.index < size).length;
    if (highest !== this.#shortGeneration || live * 2 >= size) this.#shortSinceMs = undefined;
    this.#shortGeneration = highest;
    if (highest > 0 && live * 2 < size) this.#shortSinceMs ??= nowMs;
    const ready = readyGenerations(ledgers, epoch);
    let unreadyInRow = 0;
    for (let g = highest; g > 0 && !ready.has(g) && alive(g).length === 0; g -= 1) unreadyInRow += 1;
    return { highest, size, live, shortSinceMs: this.#shortSinceMs, unreadyInRow };
  }
}

function readyGenerations(ledgers: ReadonlyMap<string, WorkerFacts>, epoch: number): ReadonlySet<number> {
  const ready = new Set<number>();
  for (const facts of ledgers.values()) {
    if (facts.hook === undefined) continue;
    const name = parseWorkerName(facts.worker);
    if (name.epoch === epoch) ready.add(name.generation);
  }
  return ready;
}
