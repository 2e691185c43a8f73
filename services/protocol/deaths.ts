/** Which deaths of workers are charged, to which batch, and to which of its items. Pure. */
import type { DriverFacts } from "./driver-facts.ts";
import type { ItemRange, VerdictLine } from "./ledger.ts";

type Facts = Pick<DriverFacts, "workerFacts" | "fold" | "attempts" | "verdicts" | "judged" | "isolatedItems">;

/** Workers that died over the same items of the same attempt. */
interface Deaths {
  readonly batch: number;
  readonly attempt: number;
  readonly range: ItemRange | undefined;
  readonly workers: string[];
}

/**
 * Deaths, charged: two started lines of dead writers for a batch's first verdict, one for each later one. On the last attempt
 * of a batch that may be taken apart the verdict names the items that ran, and the attempt goes on without them; over a
 * single item, which fails by it for good, it needs two again.
 */
export function verdictsOf(facts: Facts): VerdictLine[] {
  const verdicts: VerdictLine[] = [];
  for (const { batch, attempt, range, workers } of deathsOf(facts)) {
    const worker = workers.at(-1);
    const isLastWord = range !== undefined && range[1] - range[0] === 1;
    const needed = (facts.verdicts.get(batch) ?? 0) > 0 && !isLastWord ? 1 : 2;
    if (worker === undefined || workers.length < needed) continue;
    const line = { t: "died", batch, attempt, worker, cause: "worker_died" } as const;
    verdicts.push(range === undefined ? line : { ...line, range });
  }
  return verdicts;
}

/** Of each batch the deaths that its newest attempt left unjudged. */
function deathsOf(facts: Facts): Iterable<Deaths> {
  const byBatch = new Map<number, Map<string, Deaths>>();
  const newest = new Map<number, number>();
  for (const worker of facts.workerFacts) {
    if (worker.fresh || worker.disrupted) continue;
    for (const [batch, { attempt, range: begun }] of worker.open) {
      if (facts.fold.isSettled(batch) || facts.fold.attemptFailed(batch, attempt)) continue;
      if (attempt < (newest.get(batch) ?? 0)) continue;
      if (attempt > (newest.get(batch) ?? 0)) byBatch.set(batch, new Map());
      newest.set(batch, attempt);
      const range = chargedRange(facts, batch, attempt, begun);
      if (range !== undefined && facts.judged.has(judgementName({ batch, attempt, range }))) continue;
      const name = String(range);
      const known = byBatch.get(batch)?.get(name);
      if (known !== undefined) known.workers.push(worker.worker);
      else byBatch.get(batch)?.set(name, { batch, attempt, range, workers: [worker.worker] });
    }
  }
  return [...byBatch.values()].flatMap((deaths) => [...deaths.values()]);
}

/** The items that a verdict over this start names; undefined: the attempt fails as a whole. */
function chargedRange(
  { attempts, isolatedItems }: Facts,
  batch: number,
  attempt: number,
  begun: ItemRange | undefined,
): ItemRange | undefined {
  const items = attempt < attempts ? 0 : (isolatedItems?.(batch) ?? 0);
  return items < 2 ? undefined : (begun ?? [0, items]);
}

/** What one judgement over some items is about: a second one would say nothing new. */
export function judgementName({
  batch,
  attempt,
  range,
}: Required<Pick<VerdictLine, "batch" | "attempt" | "range">>): string {
  return [batch, attempt, ...range].join("/");
}
