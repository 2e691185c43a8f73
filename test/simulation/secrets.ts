import type { World } from "./world.ts";

/** Stands in each item and in each configuration, and nowhere else. */
export const SECRET = "hush-hush";

/** I15: what users hand in stands in no record, message, log or error of ours. */
export function noSecret(world: World, where: string, told: Buffer | string): void {
  if (told.includes(SECRET)) world.broken(`I15: ${where} tells what stands in an item or in a configuration`);
}

/** What may hold it: items as they were staged, specs, results, and the handler's own rows of a batch that is taken apart. */
const HOLDS_ITEMS = /^(?:spec\.json$|input\/|results\/|parts\/|isolation\/)/;

/** `rest`: a key below its job. */
export function noSecretIn(world: World, job: string, rest: string, bytes: Buffer): void {
  if (!HOLDS_ITEMS.test(rest)) noSecret(world, `${rest} of job ${job}`, bytes);
}
