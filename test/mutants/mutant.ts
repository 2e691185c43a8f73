import type { Fault } from "../sweep/single-fault.ts";
import type { SweptJobName } from "../sweep/swept-jobs.ts";

/** A bug that a test plants to see itself, or others, catch it. */
export interface Mutant {
  readonly name: string;
  /** What goes wrong, in words. */
  readonly bug: string;
  /** Path from the repository's root. */
  readonly file: string;
  /** A text that stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  readonly caughtBy: Prover;
}

/** Who must catch it. */
export type Prover =
  /** Some seed of the simulated cluster from 1 to this one. */
  | { readonly by: "simulation"; readonly seeds: number }
  /** A run of the single-fault sweep with this job, and with this class of faults. */
  | { readonly by: "sweep"; readonly job: SweptJobName; readonly fault: Fault }
  /** A test whose name begins so. */
  | { readonly by: "test"; readonly file: string; readonly says: string };

/** The environment variable that names the mutant of a process. */
export const MUTANT_VARIABLE = "MILLRACE_TEST_MUTANT";

/** The file's text with the bug in it. Throws when the text to replace is not there, or there more than once. */
export function planted({ name, file, find, replace }: Mutant, text: string): string {
  const times = text.split(find).length - 1;
  if (times === 1) return text.replace(find, () => replace);
  throw new Error(
    `mutant "${name}" does not fit: its text stands ${String(times)} times in ${file}, and must stand there once; ` +
      "adapt find and replace to what the code is now",
  );
}
