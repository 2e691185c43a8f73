/**
 * The soak against the cloud's backends: jobs compete for lanes while replicas, workers and handlers are killed, drained and
 * frozen, and S3, SQS and Logs throttle, refuse, lose, cut, land late and go away for moments. Faults stop, then every job
 * must come to its right end.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { firedFaults, mend, spoil } from "../cluster/bad-servers.ts";
import { BARE_API } from "../support/a-bare-cloud.ts";
import type { CloudServers } from "../support/cloud-servers.ts";
import { Chaos, seeded, told } from "../../system/soak/chaos.ts";
import { JobStream, type SoakedJob } from "../../system/soak/job-stream.ts";
import { judge } from "../../system/soak/judge.ts";
import { laneStory } from "../../system/soak/lanes.ts";
import { NOTING_HANDLER, readRuns, repetitions } from "../../system/soak/runs.ts";
import type { SoakOptions } from "../../system/soak/soak.ts";
import { SoakedCloud } from "./soaked-cloud.ts";

export interface CloudSoakReport {
  readonly jobs: number;
  readonly batches: number;
  readonly runs: number;
  /** Batches that were run again, because they were sent or delivered again. */
  readonly repeated: number;
  readonly repeatedAfterEnd: number;
  readonly starts: number;
  /** Jobs that a replica took up from another one. */
  readonly takeovers: number;
  readonly lanesHandedOn: number;
  readonly attemptsFailed: number;
  readonly itemsFailed: number;
  readonly finishSeconds: number;
  readonly blows: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
}

const LANES = 2;
const ALIVE = 3;
const WORKERS = 2;
const BATCHES = 80;
const BATCH_SECONDS = 0.05;
/** Kubernetes waits longer and longer before it starts a worker again whose last one was killed. */
const PAUSE_MS = [500, 2_500] as const;
/** A lease is 6 s here. */
const LONG_FREEZE_MS = [6_500, 9_000] as const;
const CUT_EVERY_MS = 9_000;
const CUT_MS = 1_200;
const FINISH_SECONDS = 300;
/** From so many seconds on, every kind of blow and fault finds its turn. */
const WHOLE_SECONDS = 60;
/** How much longer it goes on on a machine that is too busy for that. */
const LATE_MS = 60_000;
const THROTTLE = { name: "more than the bucket takes", fault: { kind: "throttle", perSecond: 40 } } as const;

export async function cloudSoak(options: SoakOptions): Promise<CloudSoakReport> {
  const cloud = await SoakedCloud.start(LANES);
  const { seed } = options;
  const chaos = new Chaos({ seed, targets: cloud, now: Date.now, pauseMs: PAUSE_MS, longFreezeMs: LONG_FREEZE_MS });
  try {
    return await soakOn(cloud, chaos, options);
  } catch (error) {
    const said = cloud.said.map((one) => one.slice(-6_000));
    const lines = [
      String(error), // first, as whoever cuts a record cuts its end
      `what was done with seed ${String(seed)}:`,
      ...chaos.events.map(told),
      "the replicas said:",
      ...said,
    ];
    throw new Error(lines.join("\n"), { cause: error });
  } finally {
    await cloud.end();
  }
}

async function soakOn(cloud: SoakedCloud, chaos: Chaos, options: SoakOptions): Promise<CloudSoakReport> {
  const { seconds, seed, say } = options;
  const { servers } = cloud.bare;
  const deployed = await cloud.deploy(BARE_API, NOTING_HANDLER, { attempts: 30 });
  if (!deployed.ok) throw new Error(`the API could not be deployed: ${await deployed.text()}`);
  const [notes, calm] = [join(cloud.folder, "notes"), join(cloud.folder, "calm")];
  const common = { workers: WORKERS, config: { notes, calm, seconds: BATCH_SECONDS } };
  const stream = new JobStream(cloud, BARE_API, (number) => Promise.resolve(jobOf(number, common)));
  say(
    `${String(seconds)} s of blows and faults begin, seed ${String(seed)}; ${String(ALIVE)} jobs compete for ${String(LANES)} lanes`,
  );
  const over = Date.now() + seconds * 1000;
  const latest = seconds >= WHOLE_SECONDS ? over + LATE_MS : over;
  const isOver = () => chaos.isOver;
  const cuts = spoilAll(servers, seed, over);
  await Promise.all([chaos.rage(over, latest), cloud.keep(isOver), stream.keep(ALIVE, isOver), cuts]);
  mend(servers);
  cloud.revive();
  await cloud.whenReady();
  say(`${String(chaos.events.length)} blows on ${String(stream.submitted.length)} jobs; now all is calm`);
  await writeFile(calm, "");
  const calmAt = performance.now();
  const keeping = new AbortController();
  const kept = keepUntil(cloud, keeping.signal);
  const ended = await stream.ended(FINISH_SECONDS).finally(() => keeping.abort());
  await kept;
  const finishSeconds = (performance.now() - calmAt) / 1000;
  const runs = readRuns(await readFile(notes, "utf8"));
  const { faults } = await judge(cloud, ended, runs);
  const lanes = laneStory(cloud.said);
  const again = repetitions(runs);
  const { s3 } = servers.proxies;
  const report: CloudSoakReport = {
    jobs: ended.length,
    batches: ended.reduce((sum, { job }) => sum + job.batches.total, 0),
    runs: runs.length,
    repeated: again.length,
    repeatedAfterEnd: again.filter(({ first }) => first.endedAt !== undefined).length,
    starts: cloud.starts,
    takeovers: lanes.takeovers,
    lanesHandedOn: lanes.handedOn,
    attemptsFailed: ended.reduce((sum, { job }) => sum + job.attempts_failed, 0),
    itemsFailed: ended.reduce((sum, { job }) => sum + job.items.failed, 0),
    finishSeconds,
    blows: Object.fromEntries(chaos.blows),
    faults: {
      ...firedFaults(servers),
      "s3: throttled": s3.rules.fired(THROTTLE.name),
      "connections cut": cutsOf(servers),
    },
  };
  if (seconds >= WHOLE_SECONDS) faults.push(...untried(report));
  if (faults.length > 0) throw new Error([...faults, JSON.stringify(report)].join("\n"));
  await cloud.proveAll();
  return report;
}

/** Servers that fail now and then in each of their ways; one after the other is cut off for a moment, again and again. */
async function spoilAll(servers: CloudServers, seed: number, over: number): Promise<void> {
  const { proxies } = servers;
  const random = seeded(seed + 1);
  spoil(servers, ["s3", "sqs", "logs"]);
  proxies.s3.rules.add(THROTTLE);
  const all = [proxies.s3, proxies.sqs, proxies.logs];
  for (let number = 0; Date.now() + CUT_EVERY_MS < over; number += 1) {
    await sleep(CUT_EVERY_MS * (0.5 + random()));
    const proxy = all[number % all.length];
    proxy?.cut();
    await sleep(CUT_MS);
    proxy?.heal();
  }
}

function cutsOf({ proxies }: CloudServers): number {
  return Object.values(proxies).reduce((sum, { rules }) => sum + rules.fired("cut"), 0);
}

/** A replica that the blows left half dead may end later. */
async function keepUntil(cloud: SoakedCloud, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    cloud.revive();
    await sleep(500);
  }
}

/** Single items, batches of four, and batches with items that their handler refuses, in turn. */
function jobOf(number: number, common: object): SoakedJob {
  const size = number % 3 === 0 ? 1 : 4;
  const count = size * BATCHES;
  const bad = number % 3 === 2 ? [5, 6, count - 1] : [];
  const items = Array.from({ length: count }, (_, index) => (bad.includes(index) ? -index : index));
  const attempts = bad.length > 0 ? { attempts: 3 } : {};
  return { body: { ...common, ...attempts, item_list: { items, batch_size: size } }, bad };
}

/** What never happened was not tried. */
function untried({
  blows,
  faults,
  repeated,
  takeovers,
  lanesHandedOn,
  itemsFailed,
}: CloudSoakReport): readonly string[] {
  const all = { ...blows, ...faults, repeated, takeovers, lanesHandedOn, itemsFailed };
  return Object.entries(all).flatMap(([what, times]) => (times === 0 ? [`it never came to: ${what}`] : []));
}
