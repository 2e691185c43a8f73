/** Who drives the job and who works for it: lanes, epochs and terms only rise, and code is there as long as a record names it. */
import { apiKeys, parseWorkerName, workerOfLedger } from "../../../protocol/keys.ts";
import { JOB_FORMAT, type ApiVersion } from "../../../protocol/jobs.ts";
import type { LaneRecord } from "../../../protocol/lanes.ts";
import { isFinal } from "../../../protocol/states.ts";
import { readCurrent } from "../../apis/current.ts";
import { readObject, readRecord } from "../stored.ts";
import type { Check } from "./check.ts";
import type { JobFacts } from "./facts.ts";
import type { Finding } from "./report.ts";

const BUG = "stop the job and submit it again; this is a fault of Millrace, please report it with this report";

export const laneChecks: readonly Check[] = [
  { name: "the record of its lane is no older than the job's state", invariants: ["I11"], run: laneNotOlder },
  { name: "its workers are of lanes that it had", invariants: ["I11"], run: workersOfItsLanes },
  { name: "an early end has its reason", invariants: ["I7", "I10"], when: ({ final }) => final, run: endedForAReason },
  { name: "the code that it runs is there", invariants: ["I12"], run: codeThere },
];

/** A driver is on the lane before it writes its name into the state; read after the state, the lane has it or a later one. */
async function* laneNotOlder({ store, spec, stateAfter }: JobFacts): AsyncGenerator<Finding> {
  const named = stateAfter.lane;
  if (named === null) return;
  const key = apiKeys(spec.api).lane(named.lane);
  const lane = (await readRecord<LaneRecord>(store, key))?.value;
  const own = `lane ${String(named.lane)}, epoch ${String(named.epoch)}, term ${String(named.term)}`;
  if (lane === undefined) {
    yield {
      problem: `the job's state names ${own}, and ${key} is not there`,
      mend: "start the service, which grants a lane anew; if jobs stay where they are, restore the record from a backup",
    };
  } else if (lane.epoch < named.epoch || lane.term < named.term) {
    yield {
      problem: `the job's state names ${own}, and ${key} is only at epoch ${String(lane.epoch)}, term ${String(lane.term)}: it was put back`,
      mend: "stop the service, restore the newer record (or remove it, when no job runs), and start it again",
    };
  }
}

function* workersOfItsLanes({ stateAfter, ledgers }: JobFacts): Generator<Finding> {
  const newest = stateAfter.lane?.epoch;
  if (newest === undefined) return; // it ended while it waited, after it may have had any
  for (const { key } of ledgers) {
    const worker = workerOfLedger(key);
    if (parseWorkerName(worker).epoch <= newest) continue;
    yield { problem: `${key} is of a worker of an epoch behind ${String(newest)}, the newest of the job`, mend: BUG };
  }
}

async function* endedForAReason({ store, keys, spec, state }: JobFacts): AsyncGenerator<Finding> {
  if (state.state === "stopped" && (await store.size(keys.stop)) === undefined) {
    yield {
      problem: `the job is stopped, and ${keys.stop} is not there: nobody asked for it`,
      mend: "submit it again",
    };
  }
  if (state.state !== "timed_out") return;
  const ranSeconds = ((state.at.timed_out ?? 0) - spec.accepted_at) / 1000;
  if (spec.timeout_seconds !== null && ranSeconds >= spec.timeout_seconds) return;
  const timeout =
    spec.timeout_seconds === null ? "it has no timeout" : `its timeout is ${String(spec.timeout_seconds)} s`;
  yield { problem: `the job timed out after ${String(ranSeconds)} s, and ${timeout}`, mend: "submit it again" };
}

async function* codeThere({ store, spec, stateAfter }: JobFacts): AsyncGenerator<Finding> {
  const keys = apiKeys(spec.api);
  if ((await readCurrent(store, spec.api)) === undefined) return; // it was removed, or is being removed
  const mend = "deploy the same project again, or run pulumi up --refresh on the stack that owns it";
  const version = await readObject<ApiVersion>(store, keys.version(spec.version), JOB_FORMAT);
  if (version === undefined) {
    yield { problem: `${keys.version(spec.version)}, which the job runs, is not there`, mend };
  } else if (!isFinal(stateAfter.state) && (await store.size(keys.project(version.project))) === undefined) {
    yield { problem: `${keys.project(version.project)}, which holds the job's code, is not there`, mend };
  }
}
