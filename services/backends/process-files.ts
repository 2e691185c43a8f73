import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ENV } from "../protocol/environment.ts";
import type { Clock } from "./clock.ts";
import { identify, isAlive, type ProcessIdentity } from "./process-identity.ts";

/**
 * Which processes belong to a worker, on file: `<root>/processes/<worker>.json`. The pool writes it when it starts the
 * worker, the worker whenever it starts or loses a handler; whoever survives the worker ends what is on it. Each of these
 * processes leads a process group of its own, so that what they forked ends with them.
 */
export interface WorkerProcesses {
  readonly worker: ProcessIdentity;
  readonly handlers: readonly ProcessIdentity[];
}

/** How long a killed process may take to be gone before a starting service goes on without it, milliseconds. */
const GONE_MILLISECONDS_MAX = 5_000;
const LOOK_MILLISECONDS = 10;

/** How often to look again for forks of what was just killed. */
const SWEEPS_MAX = 5;

/** Writes the file whole, in place of an older one: called by the worker itself. Unknown pids are left out. */
export function writeProcessFile(
  root: string,
  worker: string,
  workerPid: number,
  handlerPids: readonly number[],
): void {
  const own = identify(workerPid);
  if (own === undefined) return;
  const handlers = handlerPids.map(identify).filter((handler) => handler !== undefined);
  const path = processFile(root, worker);
  const written = `${path}.new`;
  mkdirSync(folderOf(root), { recursive: true });
  writeFileSync(written, JSON.stringify({ worker: own, handlers } satisfies WorkerProcesses));
  renameSync(written, path);
}

/** Writes the file unless it is there already: called by the pool right after it started the worker. */
export function createProcessFile(root: string, worker: string, workerPid: number): void {
  const own = identify(workerPid);
  if (own === undefined) return;
  mkdirSync(folderOf(root), { recursive: true });
  try {
    writeFileSync(processFile(root, worker), JSON.stringify({ worker: own, handlers: [] } satisfies WorkerProcesses), {
      flag: "wx",
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error; // the worker was faster, and knows more
  }
}

/** Undefined when there is no such file, or a torn one. */
export function readProcessFile(root: string, worker: string): WorkerProcesses | undefined {
  try {
    return JSON.parse(readFileSync(processFile(root, worker), "utf8")) as WorkerProcesses;
  } catch {
    return undefined; // never written, removed, or cut short by a crash: nobody is known to be left
  }
}

export function removeProcessFile(root: string, worker: string): void {
  rmSync(processFile(root, worker), { force: true });
  rmSync(`${processFile(root, worker)}.new`, { force: true });
}

/** Kills the process groups of a worker's handlers, and whatever they forked; forgets the worker. For one that has ended. */
export function endHandlers(root: string, worker: string): void {
  for (const handler of readProcessFile(root, worker)?.handlers ?? []) killGroup(handler);
  for (let sweep = 0; sweep < SWEEPS_MAX; sweep++) {
    const strays = descendants(worker);
    for (const pid of strays) signal(pid, "SIGKILL");
    if (strays.length === 0) break; // none was forked while the last ones were killed
  }
  removeProcessFile(root, worker);
}

/**
 * Ends what a killed service left running: its workers and their handlers. Answers the workers that still lived.
 * Call it only while holding the root (`serveQueue` or `listenAlone` came back).
 */
export async function endLeftovers(root: string, clock: Clock): Promise<readonly string[]> {
  const ended: string[] = [];
  for (const worker of workersOnFile(root)) {
    const own = readProcessFile(root, worker)?.worker;
    if (own !== undefined && isAlive(own)) {
      ended.push(worker);
      killGroup(own);
      const until = clock.monotonicMs() + GONE_MILLISECONDS_MAX;
      while (isAlive(own) && clock.monotonicMs() < until) await clock.sleep(LOOK_MILLISECONDS);
    }
    endHandlers(root, worker); // read again: a handler may have come until the very end
  }
  return ended;
}

/** Kills a process and its group, if it is still the one that is meant. */
export function killGroup(leader: ProcessIdentity): void {
  if (isAlive(leader)) signalGroup(leader.pid, "SIGKILL");
}

/** Signals all processes of a group; nothing happens when none is left. */
export function signalGroup(group: number, name: NodeJS.Signals): void {
  signal(-group, name);
}

function signal(target: number, name: NodeJS.Signals): void {
  try {
    process.kill(target, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // gone already
  }
}

/**
 * Living processes that a worker or its handlers started, whatever group they moved to: they inherited the variable with
 * the incarnation's random name. Linux only; elsewhere a fork that left its group is not found.
 */
function descendants(worker: string): readonly number[] {
  if (process.platform !== "linux") return [];
  const mark = `${ENV.incarnation}=${worker.slice(worker.lastIndexOf("-") + 1)}`;
  const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
  return pids.filter((pid) => pid !== process.pid && environmentOf(pid).includes(mark) && identify(pid) !== undefined);
}

function environmentOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${String(pid)}/environ`, "utf8").split("\0");
  } catch {
    return []; // gone, or another user's: none of ours
  }
}

function workersOnFile(root: string): readonly string[] {
  try {
    return readdirSync(folderOf(root))
      .filter((name) => name.endsWith(".json"))
      .map((name) => name.slice(0, -".json".length));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return []; // no worker was ever started here
    throw error;
  }
}

function folderOf(root: string): string {
  return join(root, "processes");
}

function processFile(root: string, worker: string): string {
  return join(folderOf(root), `${worker}.json`);
}
