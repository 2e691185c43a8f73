/** A worker in a pod: S3, SQS and CloudWatch Logs. */
import { SqsQueue } from "../backends/batch-queue.sqs.ts";
import { realClock, realRandom } from "../backends/clock.real.ts";
import { datasetFor } from "../backends/dataset.by-scheme.ts";
import { S3Dataset } from "../backends/dataset.s3.ts";
import { unpackEnvironment } from "../backends/environment-archive.ts";
import { CloudWatchLogStore } from "../backends/log-store.cloudwatch.ts";
import { CgroupMemory } from "../backends/memory-gauge.cgroup.ts";
import { S3Store } from "../backends/object-store.s3.ts";
import { s3AccessFrom } from "../backends/s3/s3-requests.ts";
import type { Environment } from "../backends/cloud-config.ts";
import type { WorkerBackends } from "./backends.ts";
import type { CloudPlace, WorkerConfig } from "./config.ts";
import type { WorkerPace } from "./context.ts";

export function openCloud(
  { identity, scratch }: WorkerConfig,
  place: CloudPlace,
  environment: Environment,
): WorkerBackends {
  const { bucket, laneUrls, leaseSeconds, logGroup, region } = place;
  const clocks = { clock: realClock, random: realRandom };
  const access = { ...s3AccessFrom(environment), region };
  const logs = new CloudWatchLogStore({ ...clocks, group: logGroup, region, say: note });
  const say = (sentence: string) => {
    note(sentence);
    const line = { at: realClock.wallMs(), worker: identity.name, from: "worker", text: sentence } as const;
    logs.append(identity.job, identity.name, [line]).catch(() => undefined); // said on stderr as well
  };
  const store = new S3Store({ ...clocks, bucket, access, say });
  return {
    store,
    queue: new SqsQueue({
      ...{ ...clocks, queueUrls: laneUrls, leaseSeconds, region, onNotice: say },
      onUndecodable(sha256, bytes) {
        say(`a message that nobody understands was removed from the lane: ${String(bytes)} bytes, sha256 ${sha256}`);
      },
    }),
    dataset: datasetFor({ s3: new S3Dataset({ ...clocks, ...access, say }) }),
    logs,
    pace: paceOf(place),
    memory: new CgroupMemory(),
    abandoned: new Promise(() => undefined),
    python: (key) => unpackEnvironment({ store, api: identity.api, key }, scratch),
    noteHandlers: () => undefined, // they end with the pod
    close: () => logs.close(),
  };
}

/** SQS waits no longer for a message. */
const POLL_SECONDS_MAX = 20;
/** Of the grace: for what is left to do when handlers and poll have ended (flush, hand back, logs). */
const GOODBYE_SECONDS = 10;

/** A flush costs a few requests, and a driver looks once a second: more often is of no use. */
function paceOf({ leaseSeconds, graceSeconds }: CloudPlace): WorkerPace {
  // Polls are never abandoned, so the grace must be longer than one.
  const pollSeconds = Math.max(1, Math.floor(Math.min(POLL_SECONDS_MAX, leaseSeconds / 3, graceSeconds / 3)));
  return {
    pollSeconds,
    laneReadSeconds: leaseSeconds / 3,
    flushSeconds: Math.min(1, leaseSeconds / 6),
    flushSecondsPerWorker: 1 / 50,
    drainSeconds: Math.max(0, graceSeconds - Math.max(pollSeconds, GOODBYE_SECONDS)),
  };
}

/** What the platform's own log shows. */
function note(sentence: string): void {
  process.stderr.write(`${sentence}\n`);
}
