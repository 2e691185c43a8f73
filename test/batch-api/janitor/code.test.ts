import { describe, expect, it } from "vitest";
import { needCode } from "../../../services/batch-api/janitor/unneeded-code.ts";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import type { ApiVersion } from "../../../services/protocol/jobs.ts";
import { NOW } from "../jobs/support.ts";
import {
  aJanitor,
  allKeys,
  API,
  aStore,
  DAY,
  forever,
  jobAt,
  KEYS,
  OLD,
  passOn,
  putActive,
  putEnded,
  putVersion,
} from "./support.ts";

const codeOf = ({ version, project, environment }: ApiVersion) => [
  KEYS.version(version),
  KEYS.project(project),
  KEYS.environmentEnd(environment ?? ""),
  KEYS.environmentPart(environment ?? "", "b", 0),
];

async function withOld() {
  const { store, clock } = await aStore();
  await putVersion(store, OLD);
  const { janitor, said } = aJanitor(store, clock);
  const leftOn = async (...days: readonly number[]) => {
    await passOn(janitor, clock, days);
    return allKeys(store);
  };
  return { store, clock, janitor, said, leftOn };
}

describe("code that nothing names", () => {
  it("goes after 30 days of it, with archive and environment, and nothing else", async () => {
    const { leftOn } = await withOld();

    expect(await leftOn(0, 29.9)).toEqual(expect.arrayContaining(codeOf(OLD)));
    expect(await leftOn(30)).toEqual(
      [KEYS.current, KEYS.project("0".repeat(64)), KEYS.unneeded, KEYS.version("v1")].sort(),
    );
  });

  it.each([
    ["a job that waits", (store: Parameters<typeof putActive>[0]) => putActive(store, jobAt(NOW), { version: "old" })],
    ["a kept record", (store) => putEnded(store, jobAt(NOW), { at: NOW + 30 * DAY, spec: { version: "old" } })],
    [
      "a hosted API",
      async (store) => {
        await store.swap(
          KEYS.hosted,
          encodeStored({ apis: { b: { version: "old", generation: 1 } }, writes: 1 }),
          undefined,
        );
      },
    ],
  ])("stays while %s names it", async (_, name) => {
    const { store, leftOn } = await withOld();
    await name(store);

    expect(await leftOn(0, 31, 50)).toEqual(expect.arrayContaining(codeOf(OLD)));
  });

  it("is counted anew when something named it in between", async () => {
    const { store, leftOn } = await withOld();
    await leftOn(0);
    const current = async (version: string) => {
      const found = await store.read(KEYS.current);
      await store.swap(KEYS.current, encodeStored({ version, generation: 2, writes: Math.random() }), found?.version);
    };
    await current("old");
    await leftOn(20);
    await current("v1");

    expect(await leftOn(21, 50)).toEqual(expect.arrayContaining(codeOf(OLD)));
    expect(await leftOn(51)).not.toEqual(expect.arrayContaining(codeOf(OLD)));
  });

  it("is counted anew by whoever is about to name it", async () => {
    const { store, leftOn } = await withOld();
    await leftOn(0);

    await needCode(store, API, [KEYS.version("old")], 0);

    expect(await leftOn(30)).toContain(KEYS.version("old"));
  });

  it("is refused to whoever would name it while it goes, until its removal must have ended", async () => {
    const { store, clock } = await withOld();
    await store.swap(
      KEYS.unneeded,
      encodeStored({ code: { [KEYS.version("old")]: { since: 1, removing: NOW } }, writes: 1 }),
      undefined,
    );

    await expect(needCode(store, API, [KEYS.version("old")], 0)).rejects.toMatchObject({ code: "conflict" });
    await needCode(store, API, [KEYS.version("v1")], 0);
    clock.ms = NOW + 600_000;
    await needCode(store, API, [KEYS.version("old")], 0);
  });

  it("an environment loses its end first, so that a part of one never looks whole", async () => {
    const { store, clock, leftOn } = await withOld();
    await leftOn(0);
    clock.ms = NOW + 30 * DAY;
    const removed: string[] = [];
    const really = store.delete.bind(store);
    store.delete = (key) => {
      removed.push(key);
      return really(key);
    };
    await aJanitor(store, clock).janitor.pass(API, forever);

    expect(removed[0]).toBe(KEYS.version("old"));
    const ofEnvironment = removed.filter((key) => key.startsWith(KEYS.environments));
    expect(ofEnvironment[0]).toBe(KEYS.environmentEnd("e-old"));
  });

  it("is removed by one janitor at a time: another one leaves it alone until that must have ended", async () => {
    const { store, clock, leftOn } = await withOld();
    await leftOn(0);
    clock.ms = NOW + 30 * DAY;
    const gate = Promise.withResolvers<undefined>();
    const begun = Promise.withResolvers<undefined>();
    const really = store.delete.bind(store);
    const removed: string[] = [];
    store.delete = async (key) => {
      begun.resolve(undefined);
      await gate.promise;
      return really(key);
    };
    const first = aJanitor(store, clock).janitor.pass(API, forever);
    await begun.promise;
    store.delete = (key) => {
      removed.push(key);
      return really(key);
    };

    clock.ms += 599_999;
    await aJanitor(store, clock).janitor.pass(API, forever);
    expect(removed).toEqual([]);
    clock.ms += 1;
    await aJanitor(store, clock).janitor.pass(API, forever);
    expect(removed).toContain(KEYS.version("old"));

    removed.length = 0;
    gate.resolve(undefined);
    await first;
    expect(removed).toEqual([]); // it was too slow, and removes nothing more
  });

  it("stays when a version that is named cannot be read, which is said once", async () => {
    const { store, said, leftOn } = await withOld();
    await putActive(store, jobAt(NOW), { version: "gone" });

    expect(await leftOn(0, 31, 62)).toEqual(expect.arrayContaining(codeOf(OLD)));
    expect(said).toHaveLength(1);
  });
});
