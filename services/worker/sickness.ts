/** Whether a worker that fails batch after batch is itself to blame: pure rules, and the state that they go by. */
import { LIMITS } from "../protocol/limits.ts";
import type { AttemptEnd } from "./settler.ts";

/** What other workers of the job wrote down since this one began to fail. */
export interface OthersSeen {
  /** Batches of which at least one item succeeded. */
  readonly succeeded: number;
  /** Attempts that failed, charged or only doubted. */
  readonly failed: number;
  /** One of them wrote something, so that it lives. */
  readonly wrote: boolean;
}

/** `unsure`: the others have not shown enough yet. */
export type Judgement = "sick" | "well" | "unsure";

/** A worker as good as the others fails so many in a row with this probability: 1 in 10,000. */
const CHANCE_OF_SICK = 1e-4;
/** What happens more often is no surprise, once another worker has failed a batch too. */
const CHANCE_OF_WELL = 1e-2;

/** `failedInRow`: attempts of this worker that failed without a success between them. `runMin`: fewer tell nothing. */
export function judge(failedInRow: number, runMin: number, { succeeded, failed }: OthersSeen): Judgement {
  // As if each kind had been seen once more: a few batches of the others do not make failing impossible.
  const share = (failed + 1) / (succeeded + failed + 2);
  const chance = share ** failedInRow;
  if (failedInRow >= runMin && succeeded > 0 && chance <= CHANCE_OF_SICK) return "sick";
  return failed > 0 && chance > CHANCE_OF_WELL ? "well" : "unsure";
}

/** The length of a run that is looked at: it doubles with each worker of the job that stood down, so that bad data ends this. */
export function runMinOf(stoodDown: number): number {
  return LIMITS.sickRunMin * 2 ** Math.min(stoodDown, 20);
}

/** What an attempt's end says of the worker; `neither`: the handler had no part in it. */
export function signOf({ result, cause, items, failed }: AttemptEnd["line"]): "success" | "failure" | "neither" {
  // An attempt that was taken apart and left no item has a cause as well; items that are no JSON give none.
  if (result === "none" || (failed === items && cause !== undefined))
    return cause?.startsWith("input_") === true ? "neither" : "failure";
  return failed < items ? "success" : "neither";
}
