/** Counts: what the state and the manifest say is what the ledgers say. */
import type { JobCounts } from "../../../protocol/jobs.ts";
import type { Check } from "./check.ts";
import type { JobFacts } from "./facts.ts";
import type { Finding } from "./report.ts";

const RECOUNT =
  "trust the ledgers: submit the job again if these counts matter, and report this with the job's objects";

const COUNTED = [
  "batches_succeeded",
  "batches_failed",
  "items_succeeded",
  "items_failed",
  "attempts_failed",
] as const satisfies readonly (keyof JobCounts)[];

export const countChecks: readonly Check[] = [
  {
    name: "every batch is settled, or skipped by an early end",
    invariants: ["I1"],
    when: ({ final }) => final,
    run: allSettled,
  },
  {
    name: "final counts are those of the ledgers up to the cut",
    invariants: ["I2"],
    when: ({ final }) => final,
    run: finalCounts,
  },
  { name: "progress is within what the ledgers show", invariants: ["I8"], run: progress },
  {
    name: "the manifest names this job and what was skipped",
    invariants: ["I1"],
    when: ({ final }) => final,
    run: manifestFits,
  },
];

function* allSettled({ state, folded, itemsOf, end, keys }: JobFacts): Generator<Finding> {
  if (end === undefined) {
    yield {
      problem: `the job is ${state.state}, and ${keys.splitEnd} is not there: its totals are not known`,
      mend: RECOUNT,
    };
    return;
  }
  if (state.state !== "succeeded" && state.state !== "completed_with_failures") return;
  if (!end.complete) yield { problem: `the job is ${state.state}, and its split ended early`, mend: RECOUNT };
  for (const batch of itemsOf.keys()) {
    if (folded.settled.has(batch)) continue;
    yield {
      problem: `the job is ${state.state}, and batch ${String(batch)} has neither succeeded nor failed in all its attempts`,
      mend: RECOUNT,
    };
  }
}

function* finalCounts({ state, manifest, folded, itemsOf, items, keys }: JobFacts): Generator<Finding> {
  for (const [where, counts] of [
    ["the final state", state.counts],
    [keys.manifest, manifest?.counts],
  ] as const) {
    if (counts === null || counts === undefined) {
      yield { problem: `${where} says no counts`, mend: RECOUNT };
      continue;
    }
    const expected = { ...folded.counts, batches: itemsOf.length, items };
    for (const name of [...COUNTED, "batches", "items"] as const) {
      if (counts[name] === expected[name]) continue;
      yield {
        problem: `${where} says ${name} = ${String(counts[name])}, and the ledgers up to the cut show ${String(expected[name])}`,
        mend: RECOUNT,
      };
    }
    const seconds = expected.handler_seconds;
    if (Math.abs(counts.handler_seconds - seconds) > 0.01 + seconds / 1000) {
      yield {
        problem: `${where} says handler_seconds = ${String(counts.handler_seconds)}, and the ledgers show ${String(seconds)}`,
        mend: RECOUNT,
      };
    }
  }
}

function* progress(facts: JobFacts): Generator<Finding> {
  const { state } = facts;
  const live = state.live ?? undefined;
  for (const name of ["batches_running", "batches_waiting"] as const) {
    if (live !== undefined && live[name] < 0) {
      yield { problem: `the state says ${name} = ${String(live[name])}, below zero`, mend: RECOUNT };
    }
  }
  if (state.counts !== null) yield* progressOf(facts, state.counts);
  if (live !== undefined) yield* progressOf(facts, live.counts);
}

function* progressOf({ state, folded, itemsOf, items, final }: JobFacts, counts: JobCounts): Generator<Finding> {
  for (const [name, value] of Object.entries(counts)) {
    if (typeof value === "number" && value < 0) {
      yield { problem: `the state says ${name} = ${String(value)}, below zero`, mend: RECOUNT };
    }
  }
  if (counts.batches_succeeded + counts.batches_failed > counts.batches) {
    yield { problem: "the state counts more settled batches than batches", mend: RECOUNT };
  }
  if (state.sent_through > itemsOf.length) {
    yield {
      problem: `batches up to ${String(state.sent_through)} were sent, and the split has ${String(itemsOf.length)}`,
      mend: RECOUNT,
    };
  }
  if (final) return;
  const settled = counts.batches_succeeded + counts.batches_failed;
  if (settled > folded.settled.size || counts.batches > itemsOf.length || counts.items > items) {
    yield { problem: "the state is ahead of ledgers and split, which it is folded from", mend: RECOUNT };
  }
}

function* manifestFits({ manifest, spec, keys, end, folded, itemsOf, items, splits }: JobFacts): Generator<Finding> {
  if (manifest === undefined) {
    yield { problem: `the job is final, and ${keys.manifest} is not there`, mend: RECOUNT };
    return;
  }
  if (manifest.job !== spec.job || manifest.api !== spec.api || manifest.version !== spec.version) {
    yield {
      problem: `${keys.manifest} is of job ${manifest.job} of ${manifest.api} at version ${manifest.version}`,
      mend: RECOUNT,
    };
  }
  const expected = {
    batches: itemsOf.length - folded.settled.size,
    items: items - folded.counts.items_succeeded - folded.counts.items_failed,
    input_remaining: end?.complete !== true,
  };
  for (const name of ["batches", "items", "input_remaining"] as const) {
    if (manifest.skipped[name] === expected[name]) continue;
    yield {
      problem: `${keys.manifest} says skipped.${name} = ${String(manifest.skipped[name])}, and it is ${String(expected[name])}`,
      mend: RECOUNT,
    };
  }
  if (manifest.splits !== splits) {
    yield {
      problem: `${keys.manifest} counts ${String(manifest.splits)} split files of ${String(splits)}`,
      mend: RECOUNT,
    };
  }
}
