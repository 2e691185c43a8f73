/** A job that goes through what a test does to its workers, its drivers or their servers, and comes out whole. */
import { CoreV1Api } from "@kubernetes/client-node";
import { expect } from "vitest";
import { readLane } from "../../../services/batch-api/driver/lane-lease.ts";
import { EMPTY_LANE, type LaneRecord } from "../../../services/protocol/lanes.ts";
import type { Cut } from "../../../services/protocol/jobs.ts";
import { jobKeys } from "../../../services/protocol/keys.ts";
import type { JobOnWire } from "../../support/api-user.ts";
import { API, type CloudUnderTest } from "../support/a-cloud.ts";
import { awaitWith } from "../support/cluster-process.ts";
import { Gate } from "../support/gate.ts";
import type { PodHistory, PodSeen } from "../support/pod-history.ts";

/** Batches that begin in a second, all workers together, until the gate opens. */
const PER_SECOND = 25;

export interface OrdealShape {
  readonly batches: number;
  readonly workers: number;
  /** What the first items say beside their number; see GATED_ECHO. */
  readonly first?: readonly object[];
  readonly perSecond?: number;
}

export class Ordeal {
  readonly job: JobOnWire;
  readonly gate: Gate;
  readonly #cloud: CloudUnderTest;
  readonly #items: readonly { readonly at: number }[];

  private constructor(cloud: CloudUnderTest, gate: Gate, job: JobOnWire, items: readonly { readonly at: number }[]) {
    this.#cloud = cloud;
    this.gate = gate;
    this.job = job;
    this.#items = items;
  }

  /** Submits it; it cannot end before its gate opens. */
  static async begin(cloud: CloudUnderTest, shape: OrdealShape): Promise<Ordeal> {
    const { batches, workers, first = [], perSecond = PER_SECOND } = shape;
    const gate = await Gate.start(perSecond, batches - 10 * workers);
    const items = Array.from({ length: batches }, (_, at) => ({ at, ...first[at] }));
    const input = { workers, config: gate.config, item_list: { items, batch_size: 1 } };
    return new Ordeal(cloud, gate, await cloud.submit(API, input), items);
  }

  get id(): string {
    return this.job.job_id;
  }

  /** Lets everything pass, waits for the end, and looks at every row; `failed`: indexes of the items that must have. */
  async end(failed: readonly number[] = [], seconds = 120): Promise<JobOnWire> {
    this.gate.open();
    const ended = await this.#cloud.ended(this.job, seconds);
    const good = this.#items.filter(({ at }) => !failed.includes(at));
    const state = failed.length === 0 ? "succeeded" : "completed_with_failures";
    const total = this.#items.length;
    const items = { total, succeeded: good.length, failed: failed.length };
    expect(ended).toMatchObject({ state, batches: { total }, items });
    const rows = await this.#cloud.results(ended);
    expect(rows.map(({ index }) => index)).toEqual(good.map(({ at }) => at));
    expect(rows.map(({ result }) => result)).toEqual(good);
    const errors = await this.#cloud.errors(ended);
    expect(errors.map(({ index }) => index)).toEqual(failed);
    await this.gate.stop();
    return ended;
  }

  /** Its test has failed: it leaves the lane to the next one. */
  async giveUp(): Promise<void> {
    await this.gate.stop();
    await this.#cloud.stop(this.job);
    await this.#cloud.ended(this.job, 60);
    this.#cloud.forget(this.job);
  }
}

/** The lane's record now. */
export async function laneOf(cloud: CloudUnderTest, lane = 0): Promise<LaneRecord> {
  return (await readLane(cloud.store, API, lane))?.record ?? EMPTY_LANE;
}

/** The lane's record once it looks so. */
export function whenLane(
  cloud: CloudUnderTest,
  what: string,
  looks: (record: LaneRecord) => boolean,
  seconds = 60,
): Promise<LaneRecord> {
  return awaitWith(
    what,
    [],
    async () => {
      const record = await laneOf(cloud);
      return looks(record) ? record : undefined;
    },
    seconds,
  );
}

/** What a worker wrote into its ledger after its job's cut: it lies there and counts for nothing. */
export async function bytesBehindTheCut(cloud: CloudUnderTest, job: string, { uid }: PodSeen): Promise<number> {
  const keys = jobKeys(API, job);
  const found = await cloud.store.get(keys.cut);
  const { ledgers } = JSON.parse(found?.bytes.toString("utf8") ?? "{}") as Cut;
  const { entries } = await cloud.store.list(keys.ledgers);
  const own = entries.filter(({ key }) => key.includes(`-${uid.replaceAll("-", "").slice(0, 8)}`));
  return own.reduce((sum, { key, sizeBytes }) => sum + sizeBytes - (ledgers[key] ?? 0), 0);
}

/** The pod of the replica that drives a job now: it said so, with the newest term. */
export function driverOf(cloud: CloudUnderTest, history: PodHistory, job: string): Promise<PodSeen> {
  const core = cloud.cluster.admin.makeApiClient(CoreV1Api);
  return awaitWith("a replica that drives the job", [], async () => {
    const { term } = await laneOf(cloud);
    for (const pod of history.pods.filter((one) => one.job === "" && one.phase === "Running")) {
      const log = await core.readNamespacedPodLog({ namespace: cloud.namespace.name, name: pod.name }).catch(() => ""); // its container is being started
      const lines = log.split("\n").filter((line) => line.includes('"msg":"driving"') && line.includes(job));
      if (lines.some((line) => line.includes(`"term":${String(term)},`))) return pod;
    }
    return undefined;
  });
}

/** Once a node's readiness is so: "True", or "Unknown" when it does not answer. */
export function whenNode(cloud: CloudUnderTest, name: string, ready: string): Promise<true> {
  const core = cloud.cluster.admin.makeApiClient(CoreV1Api);
  return awaitWith(`node ${name} to be ready: ${ready}`, [], async () => {
    const { status } = await core.readNode({ name });
    return status?.conditions?.some((one) => one.type === "Ready" && one.status === ready);
  });
}
