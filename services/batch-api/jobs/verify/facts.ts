/**
 * The objects of one job, read once, for checks that share no code with the driver's fold. Order matters while the job runs:
 * the state first (counts only grow after it), ledgers before splits (a batch is pointed at before it is run), state again.
 */
import type { ObjectStore } from "../../../backends/object-store.ts";
import {
  JOB_FORMAT,
  type CompletionRecord,
  type Cut,
  type JobSpec,
  type Manifest,
  type StateRecord,
} from "../../../protocol/jobs.ts";
import { jobKeys } from "../../../protocol/keys.ts";
import type { LedgerLine, VerdictLine } from "../../../protocol/ledger.ts";
import { SPLIT_FORMAT, type SplitEnd, type SplitFile } from "../../../protocol/pointers.ts";
import { isFinal } from "../../../protocol/states.ts";
import type { RetentionRecord } from "../../../protocol/retention.ts";
import { endOfResults } from "../kept-results.ts";
import { readState } from "../state-record.ts";
import { readObject, readRecord } from "../stored.ts";
import { readSpec } from "../view.ts";
import { foldLines, type Folded } from "./fold.ts";
import { readLogs, type ReadLog } from "./logs.ts";

export interface JobFacts {
  readonly store: ObjectStore;
  readonly keys: ReturnType<typeof jobKeys>;
  readonly spec: JobSpec;
  /** As read before everything else. */
  readonly state: StateRecord;
  /** As read after everything else. */
  readonly stateAfter: StateRecord;
  readonly final: boolean;
  readonly completion: CompletionRecord | undefined;
  readonly cut: Cut | undefined;
  readonly manifest: Manifest | undefined;
  /** That its results are kept no more. */
  readonly retention: RetentionRecord | undefined;
  readonly ledgers: readonly ReadLog<LedgerLine>[];
  readonly verdicts: readonly ReadLog<VerdictLine>[];
  readonly end: SplitEnd | undefined;
  /** Split files that count, in order. */
  readonly splits: number;
  /** Items of each batch. */
  readonly itemsOf: readonly number[];
  /** First item of each batch. */
  readonly firstItemOf: readonly number[];
  readonly items: number;
  readonly folded: Folded;
}

/** Throws `Problem` (job_not_found). */
export async function readFacts(store: ObjectStore, api: string, job: string): Promise<JobFacts> {
  const keys = jobKeys(api, job);
  const spec = await readSpec(store, api, job);
  const { state } = await readState(store, api, job);
  const cut = await readObject<Cut>(store, keys.cut, JOB_FORMAT);
  const ledgers = await readLogs<LedgerLine>(store, keys.ledgers, cut?.ledgers);
  const verdicts = await readLogs<VerdictLine>(store, keys.verdicts, cut?.verdicts);
  const input = await readSplits(store, keys);
  const completion = (await readRecord<CompletionRecord>(store, keys.completion))?.value;
  const manifest = await readObject<Manifest>(store, keys.manifest, JOB_FORMAT);
  const retention = await endOfResults(store, api, job);
  const { state: stateAfter } = await readState(store, api, job);
  const folded = foldLines(ledgers, verdicts, spec.attempts, input.itemsOf);
  const final = isFinal(state.state);
  return {
    store,
    keys,
    spec,
    state,
    stateAfter,
    final,
    completion,
    cut,
    manifest,
    retention,
    ledgers,
    verdicts,
    ...input,
    folded,
  };
}

async function readSplits(store: ObjectStore, keys: ReturnType<typeof jobKeys>) {
  const end = await readObject<SplitEnd>(store, keys.splitEnd, SPLIT_FORMAT);
  const itemsOf: number[] = [];
  const firstItemOf: number[] = [];
  let items = 0;
  let splits = 0;
  for (; end === undefined || splits < end.splits; splits++) {
    const file = await readObject<SplitFile>(store, keys.split(splits), SPLIT_FORMAT);
    if (file === undefined) break;
    for (const flat of file.batches) {
      let count = 0;
      for (let at = 3; at < flat.length; at += 4) count += flat[at] ?? 0;
      itemsOf.push(count);
      firstItemOf.push(items);
      items += count;
    }
  }
  return { end, splits, itemsOf, firstItemOf, items };
}
