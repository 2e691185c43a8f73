import type { Mutant } from "./mutant.ts";

const simulation = { by: "simulation", seeds: 100 } as const;

const largeJob = {
  by: "test",
  file: "test/sweep/calls-of-a-large-job.test.ts",
  says: "takes fewer calls of the queue",
} as const;

/** Bugs of the driver: what it decides, sends, counts and ends. */
export const driverMutants: readonly Mutant[] = [
  {
    name: "an empty queue is the end",
    bug: "the job is over once all was sent and polls come back empty, as approximate counts would have it (P2)",
    file: "services/protocol/decide.ts",
    find: "if (facts.split.complete && facts.fold.settled === facts.split.batches) return",
    replace:
      "const isEmpty = facts.sends.through === facts.split.batches && facts.twoPollsAfterMs !== undefined;\n" +
      "  if (facts.split.complete && (isEmpty || facts.fold.settled === facts.split.batches)) return",
    caughtBy: simulation,
  },
  {
    name: "resend without the holder rule",
    bug: "a batch is sent again though a fresh worker holds it",
    file: "services/protocol/decide.ts",
    find: "const held = (batch: number) => fresh.some((worker) => worker.holds(batch));",
    replace: "const held = (batch: number) => fresh.some((worker) => worker.holds(batch) && batch < 0);",
    caughtBy: { by: "test", file: "test/protocol/decide.resend.test.ts", says: "waits while a fresh worker holds" },
  },
  {
    name: "one death condemns",
    bug: "the batch that a worker held when it died is charged at the first death",
    file: "services/protocol/deaths.ts",
    find: "> 0 && !isLastWord ? 1 : 2;",
    replace: "> 0 && !isLastWord ? 1 : 1;",
    caughtBy: { by: "test", file: "test/protocol/decide.test.ts", says: "is not written after one death" },
  },
  {
    name: "drains are charged",
    bug: "a batch is charged with the end of a worker that its platform took away",
    file: "services/protocol/deaths.ts",
    find: "if (worker.fresh || worker.disrupted) continue;",
    replace: "if (worker.fresh) continue;",
    caughtBy: {
      by: "test",
      file: "test/protocol/decide.test.ts",
      says: "is not written when one of the two was disrupted",
    },
  },
  {
    name: "the first dead pod ends the job",
    bug: "one generation of workers that comes to nothing fails the job (P10)",
    file: "services/protocol/decide.ts",
    find: "facts.generations.unreadyInRow < 3) return undefined;",
    replace: "facts.generations.unreadyInRow < 1) return undefined;",
    caughtBy: { by: "test", file: "test/protocol/decide.test.ts", says: "waits for the third generation" },
  },
  {
    name: "workers after the split",
    bug: "workers start only once the whole input is cut (P9)",
    file: "services/protocol/decide.ts",
    find: 'if (generations.highest === 0) return [{ kind: "start", generation: 1, workers: wanted }];',
    replace:
      'if (generations.highest === 0) return facts.split.complete ? [{ kind: "start", generation: 1, workers: wanted }] : [];',
    caughtBy: { by: "test", file: "test/protocol/decide.test.ts", says: "starts with the first look" },
  },
  {
    name: "few sent at a time",
    bug: "the driver sends so few pointers at each look that this is the job's pace (P7)",
    file: "services/protocol/decide.ts",
    find: "const SEND_CHUNK = 4096;",
    replace: "const SEND_CHUNK = 16;",
    caughtBy: largeJob,
  },
  {
    name: "lost messages are not suspected",
    bug: "what the queue lost is never sent again",
    file: "services/protocol/decide.ts",
    find: "if (!facts.pollsNew || facts.twoPollsAfterMs === undefined) return actions;",
    replace: "if (facts.nowMs >= 0) return actions;",
    caughtBy: { by: "sweep", job: "ended", fault: "process dies before" },
  },
  {
    name: "counts from the live ledger",
    bug: "final counts are what the ledgers say by then, not what they said at the cut",
    file: "services/batch-api/driver/manifest.ts",
    find: "      cut,\n      onStep,",
    replace: "      onStep,",
    caughtBy: { by: "sweep", job: "stopped", fault: "process dies after" },
  },
  {
    name: "finish without a cut",
    bug: "the bytes that count are never written down",
    file: "services/batch-api/driver/cut.ts",
    find: "if (await store.put(keys.cut, encodeStored(cut))) return cut;",
    replace: 'if (keys.cut !== "") return cut;',
    caughtBy: simulation,
  },
  {
    name: "cut before the state",
    bug: "a driver cuts before its job is said to be completing: two ends may both be decided",
    file: "services/batch-api/driver/finish.ts",
    find: 'const record = await job.state.write((record) => {\n    return record.state !== "running"',
    replace:
      "await makeCut(job.deps.store, job.spec.api, job.spec.job, job.ledgers);\n" +
      '  const record = await job.state.write((record) => {\n    return record.state !== "running"',
    caughtBy: simulation,
  },
  {
    name: "a hung driver beats on",
    bug: "the lane's beat goes out though the loops of its driver stand still",
    file: "services/batch-api/driver/driver.ts",
    find: "      if (stalled)\n        throw",
    replace: "      if (stalled && beat < 0)\n        throw",
    caughtBy: { by: "sweep", job: "stopped", fault: "hangs" },
  },
  {
    name: "takeover of the living",
    bug: "a lane is taken from its owner without watching its beat for a lease",
    file: "services/batch-api/driver/lane-watch.ts",
    find: "return nowMs - seen.sinceMs >= this.#leaseMs;",
    replace: "return nowMs - seen.sinceMs >= 0;",
    caughtBy: { by: "test", file: "test/batch-api/driver/memories.test.ts", says: "lets a lane be taken over after" },
  },
  {
    name: "a deposed driver writes on",
    bug: "a driver does not look whether the job's state names a newer one",
    file: "services/batch-api/driver/job-state.ts",
    find: "if (isOlder) throw new Deposed(",
    replace: "if (isOlder && this.#owner.term < 0) throw new Deposed(",
    caughtBy: { by: "sweep", job: "ended", fault: "frozen before" },
  },
  {
    name: "sent before it is marked",
    bug: "the mark of what was sent follows the send; who takes over sends it all again",
    file: "services/batch-api/driver/tick.ts",
    find: "if (job.state.record.sent_through < to) await",
    replace: "if (job.state.record.sent_through < 0) await",
    caughtBy: simulation,
  },
  {
    name: "failed before its last attempt",
    bug: "the driver takes a batch for failed, and tells so, while one attempt of it is left",
    file: "services/batch-api/driver/running-job.ts",
    find: "attempts: spec.attempts,",
    replace: "attempts: Math.max(1, spec.attempts - 1),",
    caughtBy: simulation,
  },
];
