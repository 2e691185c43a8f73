/** A whole small job (service, driver, splitter, two workers) on a disk that loses its power, fills up, or breaks. */
import { describe, expect, it } from "vitest";
import { StoreBroken } from "../../services/backends/object-store.ts";
import type { JobView } from "../../services/batch-api/jobs/job-service.ts";
import { verifyJob } from "../../services/batch-api/jobs/verify/verify.ts";
import { apiKeys } from "../../services/protocol/keys.ts";
import { isFinal } from "../../services/protocol/states.ts";
import { deployOn, DISK_API, LaptopOnDisk } from "../support/a-laptop-on-disk.ts";
import { aSubmission } from "../support/builders.ts";
import { PowerDisk, type DiskCall, type DiskFault } from "../support/power-disk.ts";

/** Calls that change what lies on a disk. */
const CHANGES: ReadonlySet<DiskCall> = new Set<DiskCall>([
  ...(["open", "write", "fdatasync", "syncFolder", "link", "unlink", "mkdir", "rmdir"] as const),
]);
const ITEMS = ["1", '{"b":2}', '"three"', "4", "[5]"];
const ROWS = ITEMS.map((item, index) => `{"index":${String(index)},"result":${item}}\n`).join("");
const SUBMISSION = aSubmission({
  workers: 2,
  input: { kind: "item_list", items: ITEMS.map((item) => Buffer.from(item)), batchSize: 2 },
});
/** The machine is a shared one. */
const TEST_MS = 180_000;

/** What a user was told, and so must hold whatever becomes of the disk. */
interface Told {
  readonly job?: string;
  readonly state?: JobView["state"];
}

interface Life {
  readonly laptop: LaptopOnDisk | undefined;
  readonly told: Told;
  /** What kept the service from starting, or the user from an answer. */
  readonly refusals: readonly unknown[];
}

/** Starts a service, submits the one job, and lets it run to its end, as far as the disk lets it. */
async function live(disk: PowerDisk, number: number, told: (told: Told) => void): Promise<Life> {
  const refusals: unknown[] = [];
  let known: Told = {};
  const tell = (now: Told) => {
    told((known = now));
  };
  const laptop = await LaptopOnDisk.start(disk, number).catch((error: unknown) => void refusals.push(error));
  if (laptop === undefined) return { laptop, told: known, refusals };
  const job = await submit(laptop).catch(async (error: unknown) => {
    refusals.push(error);
    // as a client does that got no answer
    return submit(laptop).catch((again: unknown) => void refusals.push(again));
  });
  if (job !== undefined) {
    tell({ job });
    await laptop.until(async () => {
      tell({ job, state: (await laptop.jobs.get(DISK_API, job)).state });
      return isOver(laptop, job);
    });
  }
  return { laptop, told: known, refusals };
}

async function submit({ jobs }: LaptopOnDisk): Promise<string> {
  const options = { principal: "user", idempotencyKey: "the one job" };
  return (await jobs.submit(DISK_API, SUBMISSION, options)).spec.job;
}

/** Final, its lane free, and active no more. */
async function isOver(laptop: LaptopOnDisk, job: string): Promise<boolean> {
  const { state } = await laptop.jobs.get(DISK_API, job);
  return isFinal(state) && (await laptop.store.list(apiKeys(DISK_API).active)).entries.length === 0;
}

async function rows({ jobs }: LaptopOnDisk, job: string): Promise<string> {
  const pieces: Buffer[] = [];
  const options = { follow: false, signal: new AbortController().signal };
  for await (const piece of jobs.results(DISK_API, job, options)) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

/** A fresh service takes up what lies there: the same submission is the same job, it ends right, and all invariants hold. */
async function expectWhole(disk: PowerDisk, told: Told, after: string): Promise<void> {
  const laptop = await LaptopOnDisk.start(disk, 200);
  if (told.job !== undefined && told.state !== undefined && isFinal(told.state)) {
    expect((await laptop.jobs.get(DISK_API, told.job)).state).toBe(told.state);
  }
  const job = await submit(laptop);
  expect(job, after).toBe(told.job ?? job);
  expect(await laptop.until(() => isOver(laptop, job)), `an end after ${after}`).toBe(true);
  const report = await verifyJob(laptop.store, DISK_API, job);
  expect(
    report.checks.filter(({ result }) => result !== "holds"),
    after,
  ).toEqual([]);
  expect(report.state).toBe("succeeded");
  expect(await rows(laptop, job)).toBe(ROWS);
  expect((await laptop.jobs.list(DISK_API, {})).jobs.length).toBe(1);
  expect([laptop.fatal, laptop.pool.broken]).toEqual([undefined, []]);
  await laptop.stop();
}

/** A disk on which nothing un-synced survives, or on which it does by chance. */
function afterPowerLoss(disk: PowerDisk, seed: number): PowerDisk {
  if (seed === 0) return disk.afterPowerLoss(() => false, () => 0); // prettier-ignore
  let turn = seed;
  const next = () => (turn = (turn * 48271 + 11) % 2147483647);
  return disk.afterPowerLoss(() => next() % 2 === 0, (bytes) => next() % (bytes + 1)); // prettier-ignore
}

/** A disk with the API, and how it looks to a user, before each call that changes something, in a whole life of the job. */
async function eachMoment(look: (disk: PowerDisk, told: Told, moment: number) => void): Promise<void> {
  const disk = new PowerDisk();
  await deployOn(disk);
  let [moment, told]: [number, Told] = [0, {}];
  disk.onCall = (call) => {
    if (CHANGES.has(call)) look(disk, told, (moment += 1));
    return undefined;
  };
  const { laptop } = await live(disk, 1, (now) => (told = now));
  expect(told.state).toBe("succeeded");
  await laptop?.stop();
}

describe("a whole job on a disk that loses its power", () => {
  it("comes to its right end, at whatever change of the disk the power goes", { timeout: TEST_MS }, async () => {
    const points: { readonly disk: PowerDisk; readonly told: Told }[] = [];
    await eachMoment((disk, told, moment) => {
      for (const seed of [0, moment]) points.push({ disk: afterPowerLoss(disk, seed), told });
    });
    expect(points.length).toBeGreaterThan(2 * 250);

    for (const [at, { disk, told }] of points.entries()) await expectWhole(disk, told, `point ${String(at)}`);

    process.stdout.write(
      `power loss in a whole job: ${String(points.length)} disks tried (before each change: un-synced bytes and names dropped, or torn and kept by chance)\n`,
    );
  });

  it("comes to its right end when the power goes again while it is taken up", { timeout: TEST_MS }, async () => {
    const points: { readonly disk: PowerDisk; readonly told: Told; readonly moment: number }[] = [];
    await eachMoment((disk, told, moment) => points.push({ disk: afterPowerLoss(disk, moment % 2), told, moment }));

    for (const { disk, told, moment } of points) {
      // somewhere in what the second service changes: early, late, and anywhere between
      let left = 1 + ((moment * 37) % 180);
      const again: { disk?: PowerDisk; told: Told } = { told };
      disk.onCall = (call) => {
        if (CHANGES.has(call) && (left -= 1) === 0) again.disk = afterPowerLoss(disk, moment);
        return undefined;
      };
      const { laptop } = await live(disk, 2, (now) => {
        if (again.disk === undefined) again.told = now;
      });
      await laptop?.stop();
      await expectWhole(again.disk ?? disk, again.told, `moment ${String(moment)} and another`);
    }

    process.stdout.write(`power loss in the taking up of a job: ${String(points.length)} pairs of moments tried\n`);
  });
});

/** A full disk is met where something is to be stored, a broken one also where it is to be made durable. */
const FAULTS: readonly (readonly [DiskFault, readonly DiskCall[]])[] = [
  ["ENOSPC", ["write", "link", "mkdir"]],
  ["EIO", ["write", "link", "mkdir", "fdatasync", "syncFolder"]],
];

describe.each(FAULTS)("a whole job on a disk that fails once with %s", (code, failing) => {
  it("ends right, and who met the failure says so and goes no further", { timeout: TEST_MS }, async () => {
    await callsOfALife(); // what is compiled at first use takes a moment, and so would change the order of calls
    const ends = new Map<string, number>();

    for (const at of (await callsOfALife()).flatMap((call, number) => (failing.includes(call) ? number : []))) {
      const disk = new PowerDisk();
      await deployOn(disk);
      let [number, told, failed]: [number, Told, readonly [DiskCall, string]] = [-1, {}, ["close", "nothing"]];
      disk.onCall = (call, path) => {
        if ((number += 1) !== at) return undefined;
        failed = [call, path];
        return code;
      };
      const life = await live(disk, 1, (now) => (told = now));
      const [call, path] = failed;
      const fault = `${call} ${path}, call ${String(at)}`;
      const end = await endOf(life, fault);
      ends.set(end, (ends.get(end) ?? 0) + 1);
      disk.onCall = () => undefined;
      // A record whose name could not be made durable is seen all the same, and its writer cannot take it back.
      const isSeen = call === "syncFolder" && end === "a worker ends" && path.endsWith(told.job ?? "");
      if (!isSeen) await expectWhole(afterPowerLoss(disk, at), told, `${fault}, and power loss`);
      await expectWhole(disk, told, fault);
    }

    const all = ["a worker ends", "it does not start", "the job is refused", "the service ends"];
    expect([...ends.keys()].sort()).toEqual(all);
    process.stdout.write(
      `${code} once in a whole job, and what came of it: ${JSON.stringify(Object.fromEntries(ends))}\n`,
    );
  });
});

/** The calls of a life of the job in which nothing fails. */
async function callsOfALife(): Promise<readonly DiskCall[]> {
  const calls: DiskCall[] = [];
  const disk = new PowerDisk();
  await deployOn(disk);
  disk.onCall = (call) => void calls.push(call);
  const { laptop } = await live(disk, 1, () => undefined);
  await laptop?.stop();
  return calls;
}

const TOLD = /^the store could not .*; (free space there|check its disk) and start again$/;

/** What a failure of the disk came to; throws when nobody says what it was. */
async function endOf({ laptop, told, refusals }: Life, fault: string): Promise<string> {
  const expectTold = (error: unknown) => {
    expect(error instanceof StoreBroken && TOLD.test(error.message), `${fault}: ${String(error)}`).toBe(true);
  };
  for (const error of refusals) expectTold(error);
  if (laptop === undefined) return "it does not start";
  for (const error of [laptop.fatal ?? [], laptop.pool.broken].flat()) expectTold(error);
  await laptop.stop();
  if (laptop.fatal !== undefined) return "the service ends";
  if (refusals.length > 0) return "the job is refused";
  expect(told.state, fault).toBe("succeeded");
  return laptop.pool.broken.length > 0 ? "a worker ends" : "nothing";
}
