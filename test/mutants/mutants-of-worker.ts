import type { Mutant } from "./mutant.ts";

const simulation = { by: "simulation", seeds: 100 } as const;

/** Bugs of the worker and of what it agrees on with the driver. */
export const workerMutants: readonly Mutant[] = [
  {
    name: "ack before ledger",
    bug: "a worker acknowledges a batch before its outcome is durable; a death between the two loses it for a while",
    file: "services/worker/settler.ts",
    find: "await this.#ledger.append(ledger, sealed);\n    await this.#ack(acks);",
    replace: "await this.#ack(acks);\n    await this.#ledger.append(ledger, sealed);",
    caughtBy: simulation,
  },
  {
    name: "ledger before results",
    bug: "an outcome is durable before the rows that it names",
    file: "services/worker/settler.ts",
    find:
      "const sealed = await Promise.all([this.#results.flush(), this.#errors.flush()]);\n" +
      "    await this.#ledger.append(ledger, sealed);",
    replace:
      "await this.#ledger.append(ledger);\n" +
      "    await this.#ledger.append([], await Promise.all([this.#results.flush(), this.#errors.flush()]));",
    caughtBy: { by: "sweep", job: "ended", fault: "process dies before" },
  },
  {
    name: "no epoch check",
    bug: "a worker runs whatever its lane brings, also what was sent for another job",
    file: "services/worker/lane-view.ts",
    find: 'if (epoch < ours.epoch) return "before";',
    replace: 'if (epoch < ours.epoch) return "now";',
    caughtBy: simulation,
  },
  {
    name: "no job check",
    bug: "a worker runs what was sent for another job in an epoch of the same number, before the lane's record was removed",
    file: "services/worker/lane-view.ts",
    find: "if (epoch === ours.epoch && job === ours.job)",
    replace: "if (epoch === ours.epoch)",
    caughtBy: { by: "test", file: "test/worker/worker.test.ts", says: "drops what was sent for another job" },
  },
  {
    name: "a zombie acknowledges",
    bug: "a worker of a former epoch removes what was sent to the workers of the next one",
    file: "services/worker/worker.ts",
    find: 'else if (sent === "after" || this.#over.signal.aborted) returned.push(receipt);',
    replace:
      'else if (sent === "after") dropped.push(receipt);\n' +
      "      else if (this.#over.signal.aborted) returned.push(receipt);",
    caughtBy: simulation,
  },
  {
    name: "hook without a claim",
    bug: "a worker whose claim of the completion hook was refused runs the hook all the same",
    file: "services/worker/completion.ts",
    find: "if (!isMine(mine, claim)) return false;",
    replace: "if (mine === undefined) return false;",
    caughtBy: { by: "test", file: "test/worker/completion.test.ts", says: "does not run when somebody else" },
  },
  {
    name: "an old ticket of the hook is good",
    bug: "the completion hook's marker is sent again, and a former one is honoured beside it (P3)",
    file: "services/worker/completion.ts",
    find: "if (found?.record.opening !== opening || found.record.state",
    replace: "if (found === undefined || found.record.state",
    caughtBy: simulation,
  },
  {
    name: "failed batch deleted",
    bug: "a batch whose attempt failed is acknowledged and written down nowhere (P6)",
    file: "services/worker/settler.ts",
    find: 'this.#ledger.add({ t: "outcome", ...end.line,',
    replace: 'if (end.line.result !== "none") this.#ledger.add({ t: "outcome", ...end.line,',
    caughtBy: simulation,
  },
  {
    name: "torn line accepted",
    bug: "the last line of a ledger counts though its end was not written",
    file: "services/protocol/ledger.parse.ts",
    find: "const consumed = bytes.lastIndexOf(10) + 1;",
    replace: "const consumed = bytes.length;",
    caughtBy: { by: "test", file: "test/protocol/ledger.test.ts", says: "are dropped when they are torn" },
  },
  {
    name: "success does not beat failure",
    bug: "of two outcomes of a batch the first one read wins, be it the failure",
    file: "services/protocol/fold.ts",
    find: "const beats = rank > known ||",
    replace: "const beats = known === 0 ||",
    caughtBy: simulation,
  },
  {
    name: "each delivery counts",
    bug: "a batch that ran twice is counted twice (P4)",
    file: "services/protocol/fold.ts",
    find: "if (!beats && !failsAnew) return false;\n    this.#uncount(batch);",
    replace: "if (!beats && !failsAnew) return false;",
    caughtBy: simulation,
  },
  {
    name: "the first failure is the last",
    bug: "a batch counts as failed after one attempt, whatever the job's attempts",
    file: "services/protocol/fold.ts",
    find: "popcount(this.#failedAttempts[batch] ?? 0) < this.#attempts) return;",
    replace: "popcount(this.#failedAttempts[batch] ?? 0) < 1) return;",
    caughtBy: simulation,
  },
  {
    name: "leases are not renewed",
    bug: "a batch that takes longer than a lease is given to another worker as well",
    file: "services/worker/worker.ts",
    find: "if (receipts.length > 0) await queue.extend(",
    replace: "if (receipts.length > 1e9) await queue.extend(",
    caughtBy: simulation,
  },
  {
    name: "neighbours of a bad item fail",
    bug: "a failed batch is taken apart down to pairs, so that a good item fails with a bad one",
    file: "services/worker/isolation.ts",
    find: 'if (end.kind === "failed" && size(range) > 1) {',
    replace: 'if (end.kind === "failed" && size(range) > 2) {',
    caughtBy: { by: "sweep", job: "isolated", fault: "throttled" },
  },
  {
    name: "half of a batch is forgotten",
    bug: "of a range that failed only its first half runs on its own",
    file: "services/worker/isolation.ts",
    find: "left.push(...halves(range));\n      continue;",
    replace: "left.push(...halves(range).slice(1));\n      continue;",
    caughtBy: { by: "sweep", job: "isolated", fault: "throttled" },
  },
  {
    name: "one pointer a poll",
    bug: "each batch has a receive and an ack of its own: two round trips (P8)",
    file: "services/worker/worker.ts",
    find: "{ messagesMax: room, waitSeconds",
    replace: "{ messagesMax: 1, waitSeconds",
    caughtBy: {
      by: "test",
      file: "test/sweep/calls-of-a-large-job.test.ts",
      says: "takes fewer calls of the queue",
    },
  },
  {
    name: "hand never given back",
    bug: "a worker that leaves keeps what it had not begun; it waits for its lease",
    file: "services/worker/worker.ts",
    find: "if (left.length > 0) await queue.release(",
    replace: "if (left.length > 1e9) await queue.release(",
    caughtBy: { by: "test", file: "test/worker/worker.leaving.test.ts", says: "aborts, hands back and releases" },
  },
  {
    name: "a closed hook is recorded",
    bug: "who ran the hook writes its end down, though the claim has moved since, or a stop has closed it",
    file: "services/worker/completion.ts",
    find: "if (found === undefined || !isMine(found, claim)) return; // it moved",
    replace: "if (found === undefined) return; // it moved",
    caughtBy: simulation,
  },
  {
    name: "an error quotes its item",
    bug: "the error row of an item that is no JSON says what stands in it",
    file: "services/worker/attempt-end.ts",
    find: "are not JSON; mend that item",
    replace: "are not JSON (${item.bytes.toString()}); mend that item",
    caughtBy: simulation,
  },
];
