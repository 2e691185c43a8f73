/** A job's states, and the only moves between them. Drawn in docs/job-states.md; a test compares the two. */

export const JOB_STATES = [
  "pending",
  "running",
  "completing",
  "succeeded",
  "completed_with_failures",
  "failed",
  "stopped",
  "timed_out",
] as const;

export type JobState = (typeof JOB_STATES)[number];

export const FINAL_STATES = ["succeeded", "completed_with_failures", "failed", "stopped", "timed_out"] as const;

export type FinalState = (typeof FINAL_STATES)[number];

/** Why a job failed. */
export const FAILURE_REASONS = [
  "split_failed",
  "worker_error",
  "worker_out_of_memory",
  "completion_failed",
  "store_damaged",
  "internal",
] as const;

export type FailureReason = (typeof FAILURE_REASONS)[number];

/** What ended the work: the driver's decision, written with the move to `completing`. */
export type EndCause =
  | { readonly kind: "settled" }
  | { readonly kind: "stopped" }
  | { readonly kind: "timed_out" }
  | { readonly kind: "failed"; readonly reason: FailureReason; readonly message: string };

/** From each state, the states that may follow. A final state never changes. */
export const MOVES = {
  pending: ["running", "completing"],
  running: ["pending", "completing"],
  completing: ["succeeded", "completed_with_failures", "failed", "stopped", "timed_out"],
  succeeded: [],
  completed_with_failures: [],
  failed: [],
  stopped: [],
  timed_out: [],
} as const satisfies Record<JobState, readonly JobState[]>;

export function isFinal(state: JobState): state is FinalState {
  return MOVES[state].length === 0;
}

export function mayMove(from: JobState, to: JobState): boolean {
  return (MOVES[from] as readonly JobState[]).includes(to);
}
