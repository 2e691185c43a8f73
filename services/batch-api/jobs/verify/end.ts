/** The end: states along the table, the hook behind all batches, a final state that follows from what ended the work. */
import type { ObjectStore } from "../../../backends/object-store.ts";
import type { CompletionRecord, StateRecord } from "../../../protocol/jobs.ts";
import { apiKeys } from "../../../protocol/keys.ts";
import type { LaneRecord } from "../../../protocol/lanes.ts";
import { FINAL_STATES, isFinal, type JobState } from "../../../protocol/states.ts";
import { readState } from "../state-record.ts";
import { readRecord } from "../stored.ts";
import type { Check } from "./check.ts";
import type { JobFacts } from "./facts.ts";
import { keysUnder } from "./logs.ts";
import type { Finding } from "./report.ts";

const BUG = "this is a fault of Millrace, please report it with this report";
const RESTART = "start the service: a driver finishes what is left over; if it stays, report it";

export const endChecks: readonly Check[] = [
  { name: "states were entered along the table of moves", invariants: ["I7"], run: statesEntered },
  { name: "the completion hook came behind all batches", invariants: ["I5"], run: hookBehind },
  {
    name: "the final state follows from cause, hook and counts",
    invariants: ["I7"],
    when: ({ final }) => final,
    run: finalFollows,
  },
  {
    name: "a final job has a cut, and stays final",
    invariants: ["I7", "I17"],
    when: ({ final }) => final,
    run: finalStays,
  },
  {
    name: "nothing that follows from the cut came before it",
    invariants: ["I17"],
    run: cutFirst,
  },
  { name: "markers say where the job is listed", invariants: ["I1", "I12"], run: markers },
  { name: "an ended job holds no lane", invariants: ["I11", "I12"], when: ({ final }) => final, run: laneFreed },
];

function* statesEntered({ state }: JobFacts): Generator<Finding> {
  const entered = Object.keys(state.at) as JobState[];
  const finals = entered.filter((name) => isFinal(name));
  if (finals.length > 1) yield { problem: `the job entered ${finals.join(" and ")}`, mend: BUG };
  if (isFinal(state.state) && state.at.completing === undefined) {
    yield { problem: `the job is ${state.state} and was never completing`, mend: BUG };
  }
  if (!isFinal(state.state) && finals.length > 0) {
    yield { problem: `the job was ${finals.join(", ")} and is ${state.state} again`, mend: BUG };
  }
  if (state.state === "running" && state.at.completing !== undefined) {
    yield { problem: "the job was completing and is running again", mend: BUG };
  }
  const ended = state.state === "completing" || isFinal(state.state);
  if (ended !== (state.cause !== null)) {
    yield {
      problem: `the job is ${state.state} and has ${state.cause === null ? "no" : "a"} cause of its end`,
      mend: BUG,
    };
  }
}

function* hookBehind({ completion, stateAfter, folded, itemsOf, end, final }: JobFacts): Generator<Finding> {
  if (completion === undefined) return;
  if (stateAfter.state !== "completing" && !isFinal(stateAfter.state)) {
    yield { problem: `the completion hook is ${completion.state} while the job is ${stateAfter.state}`, mend: BUG };
  }
  if (completion.state !== "closed" && (end?.complete !== true || folded.settled.size < itemsOf.length)) {
    yield {
      problem: `the completion hook is ${completion.state}, and ${String(itemsOf.length - folded.settled.size)} batches are not settled${end?.complete === true ? "" : " and the split has not ended"}`,
      mend: BUG,
    };
  }
  if (final && (completion.state === "open" || completion.state === "claimed")) {
    yield { problem: `the job is final, and its completion hook is still ${completion.state}`, mend: BUG };
  }
}

function* finalFollows({ state, completion, folded }: JobFacts): Generator<Finding> {
  const expected = followingState(state, completion, folded.counts.items_failed);
  if (expected === state.state) return;
  yield {
    problem: `the job is ${state.state}; its cause (${state.cause?.kind ?? "none"}), its completion hook (${completion?.state ?? "none"}) and ${String(folded.counts.items_failed)} failed items make it ${expected}`,
    mend: BUG,
  };
}

function followingState(state: StateRecord, hook: CompletionRecord | undefined, itemsFailed: number): JobState {
  // A stop, a timeout or a failure that came while the hook was open closed it, and is the cause then.
  if (hook?.state === "closed") return hook.cause;
  if (hook?.state === "failed") return "failed";
  if (state.cause !== null && state.cause.kind !== "settled") return state.cause.kind;
  return itemsFailed > 0 ? "completed_with_failures" : "succeeded";
}

function* finalStays({ state, stateAfter, cut, keys }: JobFacts): Generator<Finding> {
  if (cut === undefined) yield { problem: `the job is ${state.state}, and ${keys.cut} is not there`, mend: BUG };
  if (JSON.stringify(state) !== JSON.stringify(stateAfter)) {
    yield { problem: `the job was ${state.state}, and its state changed while it was looked at`, mend: BUG };
  }
}

/** Looked for last, because it is written first: a job that ends meanwhile is not blamed. */
async function* cutFirst({ store, keys, manifest, final }: JobFacts): AsyncGenerator<Finding> {
  if (final) return; // then its absence is told
  if (manifest === undefined && !(await isThere(store, keys.parts))) return;
  if ((await store.size(keys.cut)) !== undefined) return;
  yield {
    problem: `${manifest === undefined ? `${keys.parts}…` : keys.manifest} is there, and ${keys.cut} is not`,
    mend: BUG,
  };
}

async function isThere(store: ObjectStore, prefix: string): Promise<boolean> {
  return (await store.list(prefix, { limit: 1 })).entries.length > 0;
}

/** Read in this order, so that a job that ends meanwhile is not blamed: active/ goes after ended/ came, and both after the state. */
async function* markers({ store, spec }: JobFacts): AsyncGenerator<Finding> {
  const keys = apiKeys(spec.api);
  const active = (await store.size(keys.activeJob(spec.job))) !== undefined;
  const marked: JobState[] = [];
  for (const final of FINAL_STATES) {
    if ((await store.size(keys.endedJob(final, spec.job))) !== undefined) marked.push(final);
  }
  const { state } = (await readState(store, spec.api, spec.job)).state;
  for (const final of marked) {
    if (state === final) continue;
    yield { problem: `${keys.endedJob(final, spec.job)} is there, and the job is ${state}`, mend: BUG };
  }
  if (active) return;
  if (isFinal(state) && marked.length === 0)
    yield { problem: `the job is ${state}, and no marker lists it`, mend: RESTART };
  if (isFinal(state)) return;
  yield {
    problem: `the job is ${state}, and ${keys.activeJob(spec.job)} is not there: no driver will look for it`,
    mend: "submit it again under its idempotency key, which completes the acceptance",
  };
}

/** The marker under active/ goes last: once it is gone everything else is given back. */
async function* laneFreed({ store, spec }: JobFacts): AsyncGenerator<Finding> {
  const keys = apiKeys(spec.api);
  if ((await store.size(keys.activeJob(spec.job))) !== undefined) return;
  for await (const key of keysUnder(store, keys.lanes)) {
    const lane = await readRecord<LaneRecord>(store, key);
    if (lane?.value.job === spec.job) yield { problem: `the job has ended, and ${key} still names it`, mend: RESTART };
  }
}
