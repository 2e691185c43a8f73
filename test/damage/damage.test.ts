import { afterAll, describe, expect, it } from "vitest";
import { apiKeys } from "../../services/protocol/keys.ts";
import { Problem } from "../../services/protocol/problems.ts";
import { isFinal } from "../../services/protocol/states.ts";
import { STORED_KINDS } from "../../services/protocol/stored-kinds.ts";
import { UnreadableObject } from "../../services/protocol/stored.ts";
import { aSubmission } from "../support/builders.ts";
import { API, ServiceOverDamage, type Phase } from "./a-service.ts";
import { DAMAGES, keysOfKinds, PHASES } from "./damages.ts";

/** Tens of services, one for each object. */
const SECONDS_MAX = 60;
/** More than a driver tries a step that fails. */
const LOOKED_AT_SECONDS = 10;
/** Of a service that has nothing to do but to look: two looks a second at one lane and a few jobs. */
const CALLS_PER_SECOND_MAX = 60;

/** Kinds that were damaged, of which jobs; so that no kind is left out unseen. */
const tried = new Set<string>();

/** What somebody who looks at the job is told: its message, and what reading it throws. */
async function told(service: ServiceOverDamage, phase: Phase): Promise<string> {
  const { message } = await service.view(phase);
  const signal = new AbortController().signal;
  const read = async (rows: AsyncIterable<unknown>) => {
    try {
      let text = "";
      for await (const row of rows) text += Buffer.isBuffer(row) ? "" : JSON.stringify(row);
      return text;
    } catch (error) {
      if (error instanceof UnreadableObject) return error.message;
      throw error;
    }
  };
  const [api, job] = [API, service.ids[phase]];
  const options = { follow: false, signal };
  return `${message} ${await read(service.jobs.results(api, job, options))} ${await read(service.jobs.errors(api, job, options))}`;
}

async function rowsOf(service: ServiceOverDamage, phase: Phase): Promise<number> {
  let rows = 0;
  const results = service.jobs.results(API, service.ids[phase], {
    follow: false,
    signal: new AbortController().signal,
  });
  for await (const bytes of results) rows += bytes.toString().split("\n").length - 1;
  return rows;
}

const ITEMS = { ended: 12, running: 5, waiting: 3 } as const;

/** A job is unharmed when it has ended well and all of its rows are there. */
async function isUnharmed(service: ServiceOverDamage, phase: Phase): Promise<boolean> {
  const { state, counts } = await service.view(phase);
  const well = phase === "ended" ? "completed_with_failures" : "succeeded";
  if (state !== well || counts.items_succeeded !== ITEMS[phase]) return false;
  return rowsOf(service, phase).then(
    (rows) => rows === ITEMS[phase],
    () => false,
  );
}

async function damageOne(service: ServiceOverDamage, key: string, of: Phase | "API", restarts: boolean): Promise<void> {
  if (restarts) {
    await service.stop();
    service.run();
  }
  service.release();
  const others = PHASES.filter((phase) => phase !== of);
  const othersEnded = async () => {
    for (const phase of others) if (!isFinal((await service.view(phase)).state)) return false;
    return true;
  };
  await service.until(othersEnded);
  await service.pass(LOOKED_AT_SECONDS);

  expect(service.fatal).toBeUndefined();
  for (const phase of others) expect([phase, await isUnharmed(service, phase), (await service.view(phase)).state, await told(service, phase)]).toEqual([phase, true, expect.anything(), expect.anything()]); // prettier-ignore
  if (of !== "API" && !(await isUnharmed(service, of))) expect(await told(service, of)).toContain(key);
  const listed = (await service.jobs.list(API, {}).catch(nothingWhenNamed(key)))?.jobs.map(({ spec }) => spec.job);
  if (listed !== undefined) expect(listed).toEqual(expect.arrayContaining(others.map((phase) => service.ids[phase])));
  await service.apis.list();
  await service.apis.get(API).catch(nothingWhenNamed(key));
}

function nothingWhenNamed(key: string) {
  return (error: unknown): undefined => {
    if (error instanceof Problem && error.code === "api_not_found") return undefined; // its only record is gone
    if (!(error instanceof UnreadableObject)) throw error;
    expect(error.message).toContain(key);
  };
}

/** It asks for no more than a service that looks around. */
async function isQuiet(service: ServiceOverDamage): Promise<void> {
  const [calls, warnings] = [service.store.calls, service.warnings.length];
  await service.pass(4);
  expect(service.store.calls - calls).toBeLessThan(4 * CALLS_PER_SECOND_MAX);
  expect(service.warnings.length - warnings).toBeLessThan(5);
}

describe.each(["goes on", "is started again"])("a service that %s", (how) => {
  it.each(Object.keys(DAMAGES))(
    "lives with any one object %s: the job says so, all others go on",
    async (damage) => {
      const model = await ServiceOverDamage.start();
      const kinds = await keysOfKinds(model);
      await model.stop();
      const failures: string[] = [];
      for (const { kind, of } of kinds) {
        if (of === "ended" && how === "is started again") continue; // nobody drives it: a start changes nothing
        const service = await ServiceOverDamage.start();
        const key = (await keysOfKinds(service)).find((one) => one.kind === kind && one.of === of)?.key ?? "";
        service.store.damage(key, DAMAGES[damage]?.(await service.store.written(key)));
        tried.add(kind);

        try {
          await damageOne(service, key, of, how === "is started again");
          await isQuiet(service);
          if (of !== "API" && !isFinal((await service.view(of)).state)) {
            await service.jobs.stop(API, service.ids[of]);
            const gone = async () => (await service.store.size(apiKeys(API).activeJob(service.ids[of]))) === undefined;
            expect(await service.until(gone), "a stop ends it").toBe(true);
          }
          expect((await service.submit(aSubmission().input).catch(nothingWhenNamed(key))) ?? "").toMatch(/^$|^[0-9a-f]{16}$/); // prettier-ignore
        } catch (error) {
          failures.push(`${key} of the job that is ${of}: ${error instanceof Error ? error.message : ""}`);
        } finally {
          await service.stop();
        }
      }
      expect(failures).toEqual([]);
    },
    SECONDS_MAX * 1000,
  );
});

/** Kinds that none of these jobs has: `further-kinds.test.ts` damages them, and the tests of who reads them. */
const ELSEWHERE = [
  ...["hosted", "environmentEnd", "stop", "unneeded", "deadLetters", "retention", "retry"],
  ...["environmentPart", "isolated"], // test/backends/environment-archive.test.ts, test/worker/runner.isolation.test.ts
];

afterAll(() => {
  expect(Object.keys(STORED_KINDS).filter((kind) => !tried.has(kind) && !ELSEWHERE.includes(kind))).toEqual([]);
});
