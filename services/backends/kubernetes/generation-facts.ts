import type { V1Job, V1Pod } from "@kubernetes/client-node";
import { WORKER_EXIT } from "../../protocol/exit-codes.ts";
import type { PoolWorker } from "../worker-pool.ts";
import { createdMs, indexOf, nameOf, owedIndexes, podWorker } from "./pod-facts.ts";

/** A worker, and the object that it waits for: its pod, or its Job where it has no pod. */
export interface SeenWorker {
  readonly facts: PoolWorker;
  readonly pod?: V1Pod;
  readonly job?: V1Job;
  /** How often its index has ended before. */
  readonly ends: number;
}

/**
 * All workers of one (job, epoch): one per pod, one per index that is owed a pod, and those remembered whose pods are gone; by
 * generation, then index, then age.
 *
 * @param remembered ended workers by the uid of their pod
 */
export function generationFacts(
  jobs: readonly V1Job[],
  pods: readonly V1Pod[],
  remembered: ReadonlyMap<string, PoolWorker>,
): SeenWorker[] {
  const seen: SeenWorker[] = [...remembered.values()].map((facts) => ({ facts, ends: 0 }));
  for (const pod of [...pods].sort((a, b) => createdMs(a.metadata) - createdMs(b.metadata))) {
    if (remembered.has(pod.metadata?.uid ?? "")) continue;
    const facts = podWorker(pod);
    if (facts !== undefined) seen.push({ facts, pod, ends: 0 });
  }
  for (const job of jobs) seen.push(...owed(job, pods, seen));
  return seen.sort((a, b) => a.facts.generation - b.facts.generation || a.facts.index - b.facts.index);
}

function owed(job: V1Job, pods: readonly V1Pod[], seen: readonly SeenWorker[]): SeenWorker[] {
  const generation = nameOf(job.metadata)?.generation;
  if (generation === undefined) return [];
  const ends = new Map<number, number>();
  const done = new Set<number>();
  for (const { facts } of seen) {
    if (facts.generation !== generation || facts.phase !== "ended") continue;
    ends.set(facts.index, (ends.get(facts.index) ?? 0) + 1);
    // the Job's status says so as well, a moment later
    if (facts.exitCode === WORKER_EXIT.done || facts.exitCode === WORKER_EXIT.misconfigured) done.add(facts.index);
  }
  const living = pods.filter((pod) => {
    return nameOf(pod.metadata)?.generation === generation && podWorker(pod)?.phase !== "ended";
  });
  return owedIndexes(job, new Set([...living.map(indexOf), ...done])).map((index) => ({
    facts: { generation, index, phase: "pending", state: "waiting_for_node" },
    job,
    ends: ends.get(index) ?? 0,
  }));
}
