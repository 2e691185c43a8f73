/** Kills one worker of a running job with SIGKILL, and finds out from files what that cost. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../services/backends/clock.ts";
import type { ObjectStore } from "../../services/backends/object-store.ts";
import { killGroup, readProcessFile } from "../../services/backends/process-files.ts";
import { jobKeys, parseWorkerName } from "../../services/protocol/keys.ts";
import type { LedgerLine } from "../../services/protocol/ledger.ts";

export interface Killed {
  readonly worker: string;
  readonly pid: number;
  /** Numbers of the batches that it held and had not settled. */
  readonly held: readonly number[];
  /** Undefined when the job ended before. */
  readonly replacement: { readonly worker: string; readonly readySeconds: number } | undefined;
}

const LOOK_MS = 20;

/** Kills a worker that holds batches; resolves when its replacement is ready, or the signal aborts. Undefined: there is none. */
export async function killOne(
  root: string,
  store: ObjectStore,
  job: { readonly api: string; readonly job_id: string },
  clock: Clock,
  signal: AbortSignal,
): Promise<Killed | undefined> {
  const { worker, pid } = (await victim(root, store, job, clock, signal)) ?? {};
  if (worker === undefined || pid === undefined) return undefined;
  const own = readProcessFile(root, worker)?.worker;
  if (own === undefined) return undefined;
  const killedMs = clock.monotonicMs();
  killGroup(own);
  const held = unsettled(await ledgerOf(store, job, worker));
  for (;;) {
    const replacement = await readyReplacement(root, store, job, worker);
    const readySeconds = (clock.monotonicMs() - killedMs) / 1000;
    if (replacement !== undefined) return { worker, pid, held, replacement: { worker: replacement, readySeconds } };
    if (!(await slept(clock, signal))) return { worker, pid, held, replacement: undefined };
  }
}

/** Which workers settled these batches. */
export async function settledBy(
  store: ObjectStore,
  job: { readonly api: string; readonly job_id: string },
  batches: readonly number[],
): Promise<readonly string[]> {
  const settlers = new Set<string>();
  for (const worker of await writersOf(store, job)) {
    for (const line of await ledgerOf(store, job, worker)) {
      if (line.t === "outcome" && batches.includes(line.batch)) settlers.add(worker);
    }
  }
  return [...settlers];
}

/** A ready worker that holds something: looked for until there is one. */
async function victim(
  root: string,
  store: ObjectStore,
  job: { readonly api: string; readonly job_id: string },
  clock: Clock,
  signal: AbortSignal,
): Promise<{ readonly worker: string; readonly pid: number } | undefined> {
  do {
    for (const worker of await workersOnFile(root)) {
      const pid = readProcessFile(root, worker)?.worker.pid;
      if (pid !== undefined && unsettled(await ledgerOf(store, job, worker)).length > 0) return { worker, pid };
    }
  } while (await slept(clock, signal));
  return undefined;
}

async function readyReplacement(
  root: string,
  store: ObjectStore,
  job: { readonly api: string; readonly job_id: string },
  killed: string,
): Promise<string | undefined> {
  const { index } = parseWorkerName(killed);
  for (const worker of await workersOnFile(root)) {
    if (worker === killed || parseWorkerName(worker).index !== index) continue;
    if ((await ledgerOf(store, job, worker)).some(({ t }) => t === "ready")) return worker;
  }
  return undefined;
}

/** What the last `held` line names, less what was settled or handed back behind it. */
function unsettled(lines: readonly LedgerLine[]): readonly number[] {
  const held = new Set<number>();
  for (const line of lines) {
    if (line.t === "held") {
      held.clear();
      for (const [first, last] of line.held) for (let batch = first; batch <= last; batch++) held.add(batch);
    }
    if (line.t === "outcome") held.delete(line.batch);
    if (line.t === "handed_back") for (const batch of line.batches) held.delete(batch);
  }
  return [...held];
}

async function ledgerOf(
  store: ObjectStore,
  job: { readonly api: string; readonly job_id: string },
  worker: string,
): Promise<readonly LedgerLine[]> {
  const lines: LedgerLine[] = [];
  for (let part = 0; ; part++) {
    const stored = await store.get(jobKeys(job.api, job.job_id).ledger(worker, part));
    if (stored === undefined) return lines;
    const whole = stored.bytes.subarray(0, stored.bytes.lastIndexOf("\n") + 1).toString();
    for (const line of whole.split("\n")) if (line !== "") lines.push(JSON.parse(line) as LedgerLine);
  }
}

async function writersOf(
  store: ObjectStore,
  job: { readonly api: string; readonly job_id: string },
): Promise<ReadonlySet<string>> {
  const { ledgers } = jobKeys(job.api, job.job_id);
  const { entries } = await store.list(ledgers);
  return new Set(entries.map(({ key }) => key.slice(ledgers.length, key.lastIndexOf("-"))));
}

export async function workersOnFile(root: string): Promise<readonly string[]> {
  const names = await readdir(join(root, "processes")).catch(() => []);
  return names.filter((name) => name.endsWith(".json")).map((name) => name.slice(0, -".json".length));
}

async function slept(clock: Clock, signal: AbortSignal): Promise<boolean> {
  return clock.sleep(LOOK_MS, signal).then(
    () => true,
    () => false, // aborted: the job has ended
  );
}
