import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** A process, told apart from later ones that the system gives the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque; see `startTimeOf`. */
  readonly startTime: string;
}

/** Identity of a living process; undefined when there is none with that pid (a zombie is none). */
export function identify(pid: number): ProcessIdentity | undefined {
  const startTime = startTimeOf(pid);
  return startTime === undefined ? undefined : { pid, startTime };
}

export function isAlive({ pid, startTime }: ProcessIdentity): boolean {
  return startTimeOf(pid) === startTime;
}

/** A process's identity as a part of a file's name: without "-" and "/"; "" where it is unknown. */
export function fileNameOf(identity: ProcessIdentity | undefined): string {
  if (identity === undefined) return "";
  return `${String(identity.pid)}.${identity.startTime.replaceAll(/[^0-9A-Za-z]/g, "_")}`;
}

/** Whether the process that gave a file this part of its name still lives. */
export function livesUnder(fileName: string): boolean {
  const pid = Number(fileName.slice(0, fileName.indexOf(".")));
  return Number.isSafeInteger(pid) && pid > 0 && fileNameOf(identify(pid)) === fileName;
}

/** Clock ticks from boot to the process's start (proc(5), stat, field 22), or what `ps` says where there is no /proc. */
function startTimeOf(pid: number): string | undefined {
  if (process.platform !== "linux") {
    const { stdout } = spawnSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], { encoding: "utf8" });
    const [state = "", ...lstart] = stdout.trim().split(/\s+/);
    return state === "" || state.startsWith("Z") ? undefined : lstart.join(" ");
  }
  let stat: string;
  try {
    stat = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
  } catch {
    return undefined; // no such process
  }
  const afterName = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // from field 3 on; a name may hold anything
  return afterName[0] === "Z" || afterName[0] === "X" ? undefined : afterName[19];
}
