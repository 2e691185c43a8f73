/** Submissions, retries, deployments and several janitors at once, in any order of their calls of the store. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { MemoryStore } from "../../../services/backends/object-store.memory.ts";
import type { ObjectStore } from "../../../services/backends/object-store.ts";
import { accept } from "../../../services/batch-api/jobs/accept.ts";
import { refuseRemovedResults } from "../../../services/batch-api/jobs/kept-results.ts";
import { codeKeys, needCode, readUnneeded } from "../../../services/batch-api/janitor/unneeded-code.ts";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import { jobKeys } from "../../../services/protocol/keys.ts";
import { Problem } from "../../../services/protocol/problems.ts";
import { aSubmission } from "../../support/builders.ts";
import { aDataset, countingRandom, NOW, type StepClock } from "../jobs/support.ts";
import {
  aJanitor,
  API,
  aStore,
  DAY,
  forever,
  jobAt,
  KEYS,
  OLD,
  putActive,
  putEnded,
  putVersion,
  rowsOf,
} from "./support.ts";

/** Each call waits for its turn, which the scheduler gives in an order of its own; time passes between turns now and then. */
function inTurns(
  store: MemoryStore,
  clock: StepClock,
  scheduler: fc.Scheduler,
  who: string,
  jumps: () => number,
): ObjectStore {
  const methods = ["put", "get", "size", "read", "swap", "list", "folders", "delete", "now"] as const;
  const turned = methods.map((name) => {
    const call = async (...given: unknown[]) => {
      await scheduler.schedule(Promise.resolve(), `${who} ${name} ${String(given[0])}`);
      clock.ms += jumps();
      return (store[name] as (...args: unknown[]) => unknown).apply(store, given);
    };
    return [name, call] as const;
  });
  return {
    ...(Object.fromEntries(turned) as unknown as ObjectStore),
    append: () => Promise.reject(new Error("not here")),
    sync: () => Promise.resolve(),
  };
}

/** Undefined for a refusal. */
async function refusable<T>(step: () => Promise<T>): Promise<T | undefined> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

const hours = (list: readonly number[]) => {
  let at = 0;
  return () => (list[at++ % Math.max(1, list.length)] ?? 0) * 3600 * 1000;
};

/** Hours that pass before a call: mostly none. */
const jumpsOf = (most: number) =>
  fc.array(
    fc.oneof({ weight: 25, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: most }) }),
    { minLength: 10, maxLength: 60 },
  );

/** As builders do: nothing when an end is there, and parts under a name of their own. */
async function putEnvironment(store: ObjectStore, key: string, builder: string): Promise<void> {
  if ((await store.size(KEYS.environmentEnd(key))) !== undefined) return;
  await store.put(KEYS.environmentPart(key, builder, 0), Buffer.from("part"));
  await store.put(KEYS.environmentEnd(key), encodeStored({ builder }));
}

/** Whether an environment that has an end is whole. */
async function isWhole(store: ObjectStore, key: string): Promise<boolean> {
  const end = await store.get(KEYS.environmentEnd(key));
  if (end === undefined) return false;
  const { builder = "b" } = JSON.parse(end.bytes.toString()) as { readonly builder?: string };
  return (await store.size(KEYS.environmentPart(key, builder, 0))) !== undefined;
}

const told = { accepted: 0, refused: 0, retried: 0, removedParents: 0, deployed: 0, removedCode: 0 };

describe("janitors beside submissions", () => {
  it("never remove what was accepted, also under a key whose first submission died a day ago", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        jumpsOf(20),
        fc.integer({ min: 14, max: 50 }),
        async (scheduler, jumps, startHours) => {
          const { store, clock } = await aStore();
          const died = jobAt(NOW, 1);
          await store.put(jobKeys(API, died).items(0), Buffer.from('1\n{"b":2}\n"three"\n'));
          const random = countingRandom();
          const ann = { principal: "ann", idempotencyKey: "k" };
          // the claim of the submission that died, as it was written
          const { store: first } = await aStore();
          await accept({ store: first, dataset: aDataset([]), random }, API, aSubmission(), ann);
          const [claimKey] = (await first.list(KEYS.idempotencies)).entries.map(({ key }) => key);
          const claim = JSON.parse((await first.get(claimKey ?? ""))?.bytes.toString() ?? "{}") as object;
          await store.put(claimKey ?? "", encodeStored({ ...claim, job: died }));
          clock.ms = NOW + startHours * 3600 * 1000;

          const step = hours(jumps);
          const replicas = ["one", "two"].map(
            (who) => aJanitor(inTurns(store, clock, scheduler, who, step), clock).janitor,
          );
          const deps = { dataset: aDataset([]), random };
          const submits = ["a", "b"].map((who) =>
            refusable(() =>
              accept({ ...deps, store: inTurns(store, clock, scheduler, who, step) }, API, aSubmission(), ann),
            ),
          );
          const passes = replicas.map(async (janitor) => {
            for (let pass = 0; pass < 3; pass += 1) await janitor.pass(API, forever);
          });
          await scheduler.waitFor(Promise.all([...submits, ...passes]));

          for (const spec of await Promise.all(submits)) {
            if (spec === undefined) {
              told.refused += 1;
              continue;
            }
            told.accepted += 1;
            const keys = jobKeys(API, spec.job);
            for (const key of [keys.spec, keys.items(0), KEYS.activeJob(spec.job)])
              expect(await store.size(key), key).toBeDefined();
          }
        },
      ),
      { numRuns: 60 },
    );
    expect(told.accepted).toBeGreaterThan(5);
    expect(told.refused).toBeGreaterThan(5);
  }, 120_000);

  it("keep what a retry reads that was accepted while its parent's days ended", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        jumpsOf(10),
        fc.integer({ min: -2, max: 2 }),
        fc.nat(60),
        async (scheduler, jumps, dueHours, callsBefore) => {
          const { store, clock } = await aStore();
          const parent = jobAt(NOW);
          await putEnded(store, parent);
          clock.ms = NOW + 30 * DAY + dueHours * 3600 * 1000;
          const step = hours(jumps);
          const retry = async () => {
            const own = inTurns(store, clock, scheduler, "retry", step);
            for (let call = 0; call < callsBefore; call += 1) await own.now();
            const began = await own.now();
            await refuseRemovedResults(own, { api: API, job: parent });
            const job = jobAt(began, 9);
            const input = {
              kind: "retry",
              batch_size: 1,
              retry_of: parent,
              root: parent,
              retried: "failed",
              remaining: false,
            } as const;
            await putActive(own, job, { input });
            return (await own.now()) - began < DAY ? job : undefined; // acceptance gives itself up otherwise
          };
          const passes = ["one", "two"].map(async (who) => {
            const { janitor } = aJanitor(inTurns(store, clock, scheduler, who, step), clock);
            for (let pass = 0; pass < 8; pass += 1) await janitor.pass(API, forever);
          });
          const retried = refusable(retry);
          await scheduler.waitFor(Promise.all([retried, ...passes]));

          for (let pass = 0; pass < 5; pass += 1) {
            clock.ms += DAY;
            await aJanitor(store, clock).janitor.pass(API, forever);
          }
          const rows = await Promise.all(rowsOf(parent).map((key) => store.size(key)));
          if ((await retried) === undefined) told.removedParents += rows.includes(undefined) ? 1 : 0;
          else {
            told.retried += 1;
            expect(rows).not.toContain(undefined);
          }
        },
      ),
      { numRuns: 60 },
    );
    expect(told.retried).toBeGreaterThan(3);
    expect(told.removedParents).toBeGreaterThan(3);
  }, 120_000);

  it("leave no API without its code, whoever deploys again what was about to go", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.integer({ min: 700, max: 740 }),
        fc.nat(60),
        async (scheduler, unneededHours, callsBefore) => {
          const { store, clock } = await aStore();
          await putVersion(store, OLD);
          await aJanitor(store, clock).janitor.pass(API, forever);
          clock.ms = NOW + unneededHours * 3600 * 1000;
          const step = () => 1;
          const deploy = async () => {
            const own = inTurns(store, clock, scheduler, "deploy", () => 0);
            for (let call = 0; call < callsBefore; call += 1) await own.now();
            for (let call = 0; call < callsBefore; call += 1) await own.now();
            const { writes } = await readUnneeded(own, API);
            await putEnvironment(own, "e-old", "one"); // built, or found made
            const code = await needCode(own, API, codeKeys(API, OLD), writes);
            if (code === "changed") await putEnvironment(own, "e-old", "two");
            await own.put(KEYS.project(OLD.project), Buffer.from("archive"));
            await own.put(KEYS.version("old"), encodeStored(OLD));
            const current = await own.read(KEYS.current);
            await own.swap(KEYS.current, encodeStored({ version: "old", generation: 2 }), current?.version);
            return true;
          };
          const passes = ["one", "two"].map(async (who) => {
            const { janitor } = aJanitor(inTurns(store, clock, scheduler, who, step), clock);
            for (let pass = 0; pass < 3; pass += 1) {
              await janitor.pass(API, forever);
              clock.ms += 3600_000;
            }
          });
          const deployed = refusable(deploy);
          await scheduler.waitFor(Promise.all([deployed, ...passes]));

          const code = await Promise.all(
            [KEYS.version("old"), KEYS.project(OLD.project)].map((key) => store.size(key)),
          );
          const there = [...code, (await isWhole(store, "e-old")) ? 1 : undefined];
          if ((await deployed) === undefined) told.removedCode += there.includes(undefined) ? 1 : 0;
          else {
            told.deployed += 1;
            expect(there).not.toContain(undefined);
          }
        },
      ),
      { numRuns: 200 },
    );
    expect(told.deployed).toBeGreaterThan(3);
  }, 120_000);
});
