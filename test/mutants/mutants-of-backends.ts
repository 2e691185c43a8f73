import type { Mutant } from "./mutant.ts";

/** Bugs behind the seams. */
export const backendMutants: readonly Mutant[] = [
  {
    name: "partial send failures dropped",
    bug: "entries that SQS refused in a request that succeeded are taken for sent (P1)",
    file: "services/backends/sqs/groups.ts",
    find: "if (answer.done.length === asked.length && answer.failed.length === 0) return refusals;",
    replace: "if (answer.done.length <= asked.length) return refusals;",
    caughtBy: { by: "test", file: "test/backends/batch-queue.sqs.test.ts", says: "is sent again, that entry alone" },
  },
  {
    name: "a lease grows by its length",
    bug: "a renewal adds to what is left of a lease, so that a dead worker hides its batches for as long again (P5)",
    file: "services/backends/batch-queue.memory-lane.ts",
    find: "delivered.expiresAtMilliseconds = expiresAtMilliseconds;\n      this.leases.delete(receipt);",
    replace: "delivered.expiresAtMilliseconds += this.leaseMilliseconds;\n      this.leases.delete(receipt);",
    caughtBy: { by: "test", file: "test/backends/batch-queue.memory.test.ts", says: "adds nothing to what was left" },
  },
  {
    name: "unconditional append",
    bug: "a log is written over without the condition that it is what was acknowledged last: a late request wins",
    file: "services/backends/s3/s3-logs.ts",
    find: "const written = await this.#objects.write(key, whole, log?.etag);",
    replace: "const written = await this.#objects.write(key, whole, undefined);",
    caughtBy: {
      by: "test",
      file: "test/backends/object-store.s3.test.ts",
      says: "that lands after a newer one is refused",
    },
  },
];
