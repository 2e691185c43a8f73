import type { Mutant } from "./mutant.ts";
import { backendMutants } from "./mutants-of-backends.ts";
import { driverMutants } from "./mutants-of-driver.ts";
import { splitterMutants } from "./mutants-of-splitter.ts";
import { workerMutants } from "./mutants-of-worker.ts";

/** All bugs that are planted, each of which must be caught. */
export const mutants: readonly Mutant[] = [...workerMutants, ...driverMutants, ...splitterMutants, ...backendMutants];

/** Throws when there is none of that name. */
export function mutantNamed(name: string): Mutant {
  const found = mutants.find((mutant) => mutant.name === name);
  if (found !== undefined) return found;
  throw new Error(`there is no mutant "${name}"; there are: ${mutants.map((mutant) => mutant.name).join(", ")}`);
}
