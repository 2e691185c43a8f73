/** The processes of a pod on a node of this machine, as this machine counts them, for blows that no API has. */
import { readdirSync, readFileSync } from "node:fs";

/** Ids of a pod's processes; those of the pause container are among them. */
export function processesOfPod(uid: string): readonly number[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry) && textOf(`/proc/${entry}/cgroup`).includes(uid))
    .map(Number);
}

/** The one that runs our program: a worker's supervisor, or a service replica. */
export function mainProcessOfPod(uid: string): number {
  const isMain = (pid: number) => /^[^\0]*\/bin\/node\0[^\0]*\/main\.ts/.test(textOf(`/proc/${String(pid)}/cmdline`));
  const pid = processesOfPod(uid).find(isMain);
  if (pid === undefined) throw new Error(`pod ${uid} has no process of ours`);
  return pid;
}

/** Sends a signal to all of them but the pause container's: its sandbox stays. */
export function signalPod(uid: string, signal: NodeJS.Signals): void {
  for (const pid of processesOfPod(uid)) {
    if (!textOf(`/proc/${String(pid)}/cmdline`).startsWith("/pause")) process.kill(pid, signal);
  }
}

export function isAlive(pid: number): boolean {
  const state = /^State:\s+(\S)/m.exec(textOf(`/proc/${String(pid)}/status`))?.[1];
  return state !== undefined && state !== "Z" && state !== "X";
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // ended meanwhile
  }
}
