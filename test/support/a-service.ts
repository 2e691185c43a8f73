/** A whole service in a process of its own, as a user has it; and what may be left of it. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const SERVE = join(import.meta.dirname, "serve.ts");
/** As the command does: half the time of a start is compiling. */
const COMPILE_CACHE = join(import.meta.dirname, "../../.cache/compiled");
/** Every process of a service under test inherits it, handlers and what they fork included. */
const MARK = "SYSTEM_TEST_ROOT";
const SAID_CHARACTERS_MAX = 4_000_000;

export interface ServiceOptions {
  readonly root: string;
  /** Default 0: any free one. */
  readonly port?: number;
  /** Folders that jobs may read; default none. */
  readonly allow?: readonly string[];
  /** Default 2. */
  readonly lanes?: number;
  readonly environment?: Readonly<Record<string, string>>;
  /** Told at once, before it listens. */
  readonly onSpawned?: (pid: number) => void;
}

export interface RunningService {
  readonly address: string;
  readonly root: string;
  readonly pid: number;
  /** Everything it wrote to its standard error. */
  said(): string;
  /** How it ended: an exit code, or the name of a signal. */
  readonly ended: Promise<number | string>;
  hasEnded(): boolean;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM; answers how it ended. */
  stop(): Promise<number | string>;
}

/** Starts it; throws what it said when it ends before it listens. */
export async function startService(options: ServiceOptions): Promise<RunningService> {
  const { root, port = 0, allow = [], lanes = 2, environment = {} } = options;
  const child = spawn(process.execPath, [SERVE, JSON.stringify({ root, port, allow, lanes })], {
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE, ...environment, [MARK]: root },
    stdio: ["pipe", "pipe", "pipe"],
  });
  if (child.pid !== undefined) options.onSpawned?.(child.pid);
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-SAID_CHARACTERS_MAX);
  });
  let end: number | string | undefined;
  const ended = new Promise<number | string>((resolve) => {
    child.once("close", (code, signal) => {
      end = code ?? signal ?? "unknown";
      resolve(end);
    });
  });
  const address = await Promise.race([addressOf(child), ended.then(() => undefined)]);
  if (address === undefined || child.pid === undefined) throw new Error(said.trim());
  const kill = (signal: NodeJS.Signals) => void child.kill(signal);
  const stop = () => {
    kill("SIGCONT");
    kill("SIGTERM");
    return ended;
  };
  return { address, root, pid: child.pid, said: () => said, ended, hasEnded: () => end !== undefined, kill, stop };
}

function addressOf({ stdout }: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    stdout?.setEncoding("utf8").once("data", (line: string) => {
      resolve((JSON.parse(line) as { readonly address: string }).address);
    });
  });
}

export interface OurProcess {
  readonly pid: number;
  readonly parent: number;
  /** One letter as in proc(5): Z is a zombie, T is stopped. */
  readonly state: string;
  readonly command: string;
}

/** Children of a process that ended and that it did not wait for. */
export function zombiesOf(parent: number): readonly OurProcess[] {
  const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
  return pids.flatMap(look).filter((found) => found.parent === parent && found.state === "Z");
}

/** Living processes that this root's services, workers and handlers started, whoever is their parent now. */
export function processesOf(root: string): readonly OurProcess[] {
  const mark = `${MARK}=${root}`;
  return readdirSync("/proc")
    .map(Number)
    .filter(Number.isInteger)
    .flatMap((pid) => (isMarked(pid, mark) ? look(pid) : []));
}

function isMarked(pid: number, mark: string): boolean {
  try {
    return readFileSync(`/proc/${String(pid)}/environ`, "utf8")
      .split("\0")
      .includes(mark);
  } catch {
    return false; // it ended while we looked
  }
}

function look(pid: number): OurProcess[] {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
    const [state = "", parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const command = readFileSync(`/proc/${String(pid)}/cmdline`, "utf8")
      .replaceAll("\0", " ")
      .trim();
    return [{ pid, parent: Number(parent), state, command }];
  } catch {
    return []; // as above
  }
}

/** Waits until it answers something; throws what was waited for when it does not. */
export async function until<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  seconds = 30,
): Promise<T> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`waited ${String(seconds)} s in vain: ${what}`);
    await sleep(20);
  }
}

/** What an ended service left that it should have taken along: processes, sockets, temporary files. */
export async function leftBehind(root: string): Promise<readonly string[]> {
  const processes = (): readonly string[] =>
    processesOf(root).map(({ pid, state, command }) => `process ${String(pid)} ${state} ${command}`);
  // A process that was killed a moment ago may still stand in the table.
  await until("processes to end", () => (processes().length === 0 ? true : undefined), 5).catch(() => undefined);
  return [...processes(), ...filesLeft(root)];
}

function filesLeft(root: string): string[] {
  const all = readdirSync(root, { recursive: true, withFileTypes: true });
  return all
    .filter((entry) => {
      if (entry.isSocket() || entry.name.endsWith(".new")) return true;
      return /\/(@tmp|processes)$/.test(entry.parentPath) || entry.name.startsWith(".");
    })
    .map((entry) => join(entry.parentPath, entry.name));
}
