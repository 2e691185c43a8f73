/** A janitor over memory, whose clock tests move by days. */
import { MemoryStore } from "../../../services/backends/object-store.memory.ts";
import type { ObjectStore } from "../../../services/backends/object-store.ts";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import { Janitor, type JanitorOptions } from "../../../services/batch-api/janitor/janitor.ts";
import type { ApiVersion, JobSpec, StateRecord } from "../../../services/protocol/jobs.ts";
import { jobId } from "../../../services/protocol/ids.ts";
import { apiKeys, jobKeys } from "../../../services/protocol/keys.ts";
import type { FinalState } from "../../../services/protocol/states.ts";
import { FIRST_STATE } from "../../../services/batch-api/jobs/state-record.ts";
import { aJobSpec, aVersion } from "../../support/builders.ts";
import { NOW, StepClock } from "../jobs/support.ts";

export const API = "digits";
export const KEYS = apiKeys(API);
export const DAY = 24 * 3600 * 1000;
export const forever = new AbortController().signal;

/** Results for 30 days and records for 90. */
export function aJanitor(store: ObjectStore, clock: StepClock, over: Partial<JanitorOptions> = {}) {
  const said: string[] = [];
  const log = { info: () => undefined, warn: (_: unknown, text: string) => said.push(text) };
  const janitor = new Janitor({
    ...{ store, clock, log, apis: () => Promise.resolve([API]), pauseMs: 1 },
    retention: { resultsDays: 30, recordsDays: 90 },
    resultsSetting: "THE_SETTING",
    ...over,
  });
  return { janitor, said };
}

/** One pass on each of these days, counted from `NOW`. */
export async function passOn(janitor: Janitor, clock: StepClock, days: readonly number[]): Promise<void> {
  for (const day of days) {
    clock.ms = NOW + day * DAY;
    await janitor.pass(API, forever);
  }
}

/** A version beside the current one, with an archive and an environment of its own. */
export const OLD = aVersion({ version: "old", project: "1".repeat(64), environment: "e-old" });

export async function aStore() {
  const clock = new StepClock();
  const store = new MemoryStore({ clock });
  await putVersion(store, aVersion());
  await store.swap(KEYS.current, encodeStored({ version: "v1", generation: 1 }), undefined);
  return { store, clock };
}

export async function putVersion(store: ObjectStore, version: ApiVersion): Promise<void> {
  await store.put(KEYS.version(version.version), encodeStored(version));
  await store.put(KEYS.project(version.project), Buffer.from("archive"));
  if (version.environment === null) return;
  await store.put(KEYS.environmentPart(version.environment, "b", 0), Buffer.from("part"));
  await store.put(KEYS.environmentEnd(version.environment), Buffer.from("{}"));
}

/** The n-th job that was submitted at a time; `random` tells jobs of one millisecond apart. */
export const jobAt = (ms: number, random = 0) => jobId(ms, random.toString(16).padStart(5, "0"));

const FOLDERS = ["results/a-00000000.ndjson", "errors/a-00000000.ndjson", "parts/x", "index/00000000.json"];
const KEPT_WITH_RECORD = [
  "input/items-00000000.ndjson",
  "splits/00000000.json",
  "ledger/a-00000000",
  "cut.json",
  "manifest.json",
];

/** What lies there of a job that has ended; the content does not matter to the janitor. */
export async function putEnded(
  store: ObjectStore,
  job: string,
  over: { readonly at?: number; readonly state?: FinalState; readonly spec?: Partial<JobSpec> } = {},
): Promise<void> {
  const { state = "succeeded", at = NOW } = over;
  const keys = jobKeys(API, job);
  await store.put(keys.spec, encodeStored(aJobSpec({ job, api: API, ...over.spec })));
  const record: StateRecord = {
    ...FIRST_STATE,
    state,
    cause: { kind: "settled" },
    at: { completing: at, [state]: at },
  };
  await store.swap(keys.state, encodeStored(record), undefined);
  for (const name of [...FOLDERS, ...KEPT_WITH_RECORD]) await store.put(`${keys.root}${name}`, Buffer.from(name));
  await store.put(KEYS.endedJob(state, job), Buffer.alloc(0));
}

export async function putActive(store: ObjectStore, job: string, spec: Partial<JobSpec> = {}): Promise<void> {
  const keys = jobKeys(API, job);
  await store.put(keys.spec, encodeStored(aJobSpec({ job, api: API, ...spec })));
  await store.put(keys.items(0), Buffer.from("1\n"));
  await store.put(KEYS.activeJob(job), Buffer.from("{}\n"));
}

export const rowsOf = (job: string) => FOLDERS.map((name) => `${jobKeys(API, job).root}${name}`);

export async function allKeys(store: ObjectStore): Promise<readonly string[]> {
  const keys: string[] = [];
  for (let after: string | undefined, more = true; more;) {
    const page = await store.list("apis/", after === undefined ? {} : { after });
    keys.push(...page.entries.map(({ key }) => key));
    after = page.next;
    more = after !== undefined;
  }
  return keys;
}

export async function keysOf(store: ObjectStore, job: string): Promise<readonly string[]> {
  const { root } = jobKeys(API, job);
  return (await allKeys(store)).filter((key) => key.startsWith(root)).map((key) => key.slice(root.length));
}
