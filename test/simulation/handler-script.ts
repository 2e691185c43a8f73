import type { Chance } from "./chance.ts";

/** What the user's code does with a batch, run after run. */
export type Deed = "succeed" | "raise" | "exit" | "hang" | "kill the worker";

/** A job's handler: what it does is drawn once per batch, so that a run can be judged afterwards. */
export interface HandlerScript {
  readonly hook: "none" | "succeeds" | "raises" | "kills the worker once";
  /** It cannot be started, ever. */
  readonly broken: boolean;
  /** The first worker that runs a batch of it fails every batch, whatever the others do. */
  readonly badMachine?: boolean;
  readonly secondsMin: number;
  readonly secondsMax: number;
  /** Deeds of the first runs of a batch; after them it succeeds, unless the last deed stays. */
  readonly deeds: ReadonlyMap<number, BadBatch>;
}

export interface BadBatch {
  readonly first: readonly Deed[];
  readonly forever: boolean;
  /** The one item of the batch that is to blame, from 0; without it, whatever it runs of the batch. */
  readonly item?: number;
}

/** `batchSize`: items of a batch. */
export function drawScript(
  chance: Chance,
  batches: number,
  batchSize: number,
  dreadful: boolean,
  slow: boolean,
): HandlerScript {
  const deeds = new Map<number, BadBatch>();
  const badShare = dreadful ? chance.pick([0, 0.02, 0.1, 0.4]) : 0;
  for (let batch = 0; batch < batches; batch += 1) {
    if (!chance.is(badShare)) continue;
    const runs = chance.integer(1, 3);
    const kinds: readonly Deed[] = ["raise", "raise", "raise", "exit", "hang", "kill the worker"];
    const one = chance.pick(kinds);
    const item = chance.is(0.7) ? { item: chance.integer(0, batchSize - 1) } : {};
    deeds.set(batch, { first: Array.from({ length: runs }, () => one), forever: chance.is(0.4), ...item });
  }
  const hook = chance.pick(["none", "succeeds", "succeeds", dreadful ? "raises" : "succeeds", dreadful ? "kills the worker once" : "none"] as const); // prettier-ignore
  const secondsMax = slow ? chance.between(5, 15) : chance.skewed(0.01, 1);
  // In long jobs alone: in a short one nobody can tell whose fault it is.
  const badMachine = dreadful && batches >= 60 && hook === "succeeds";
  return { hook, broken: dreadful && chance.is(0.03), badMachine, secondsMin: secondsMax / 10, secondsMax, deeds };
}
