/** What the objects show of a job's acceptance and of its completion hook's record. */
import { JOB_FORMAT, type JobSpec } from "../../../protocol/jobs.ts";
import { jobKeys } from "../../../protocol/keys.ts";
import { candidateJob } from "../idempotency.ts";
import { readObject } from "../stored.ts";
import type { Check } from "./check.ts";
import type { JobFacts } from "./facts.ts";
import { keysUnder } from "./logs.ts";
import type { Finding } from "./report.ts";

const BUG = "this is a fault of Millrace, please report it with this report";
/** Ids that are looked at for a second job of the same submission: the next ones that its acceptance would have taken. */
const CANDIDATES = 3;

export const acceptanceChecks: readonly Check[] = [
  { name: "the submission has made this job and no other", invariants: ["I13"], run: acceptedOnce },
  { name: "the completion hook's end is told by a worker of this job", invariants: ["I6"], run: hookOfAWorker },
];

async function* acceptedOnce({ store, spec, keys }: JobFacts): AsyncGenerator<Finding> {
  if (jobKeys(spec.api, spec.job).spec !== keys.spec) {
    yield { problem: `${keys.spec} is the spec of job ${spec.job} of API ${spec.api}`, mend: BUG };
  }
  const claim = { job: spec.job, submission: spec.submission, body: "" };
  for (let candidate = 1; candidate <= CANDIDATES; candidate += 1) {
    const job = candidateJob(claim, candidate);
    const other = await readObject<JobSpec>(store, jobKeys(spec.api, job).spec, JOB_FORMAT);
    if (other?.submission !== spec.submission) continue;
    yield { problem: `job ${job} was made of the same submission`, mend: `stop one of the two; ${BUG}` };
  }
}

/** Every claim needs a handler that was ready, and so a ledger of its worker; the newest opening is the one that ended. */
async function* hookOfAWorker({ store, keys, completion }: JobFacts): AsyncGenerator<Finding> {
  if (completion === undefined || completion.state === "open" || completion.state === "closed") return;
  const { worker, opening, writes } = completion;
  if (worker === null) return; // no worker has such a hook
  // Each opening but the last was written, and claimed or given up; the last one was opened, claimed, and ended.
  const least = opening + (completion.state === "claimed" ? 1 : 2);
  if (writes < least) {
    yield {
      problem: `the completion hook is ${completion.state} in opening ${String(opening)} after ${String(writes)} writes`,
      mend: BUG,
    };
  }
  for await (const key of keysUnder(store, keys.ledger(worker, 0))) if (key === keys.ledger(worker, 0)) return;
  yield { problem: `the completion hook is ${completion.state} by ${worker}, which has no ledger`, mend: BUG };
}
