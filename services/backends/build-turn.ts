/**
 * Whose turn it is to build something in a folder, among processes that may die at any instruction. A turn is a complete file
 * `turn.<n>` made by `link(2)`, which fails if n exists; it is never removed, and the highest n is the turn. It is open to
 * others when it is empty (its holder gave up) or names a process that is gone. So no lock can be left behind.
 */
import { link, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

interface Holder {
  readonly pid: number;
  /** Start time of the process in clock ticks since boot, so that a reused pid is told apart; "" where it is unknown. */
  readonly started: string;
}

/** Answers the number (from 1) of the turn that this process got, or undefined while a living process has it. */
export async function takeTurn(folder: string): Promise<number | undefined> {
  await mkdir(folder, { recursive: true });
  const highest = await highestTurn(folder);
  if (highest > 0 && (await isHeld(folder, highest))) return undefined;
  const mine = highest + 1;
  const holder: Holder = { pid: process.pid, started: await processStart(process.pid) };
  const partial = await mkdtemp(join(folder, ".turn-"));
  try {
    await writeFile(join(partial, "holder"), JSON.stringify(holder), { flush: true });
    await link(join(partial, "holder"), join(folder, `turn.${String(mine)}`));
    return mine;
  } catch (error) {
    if (isCode(error, "EEXIST")) return undefined;
    throw error;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

/** Opens the turn to others. An empty file is complete as it is made, and can be made on a full disk. */
export async function giveUpTurn(folder: string, turn: number): Promise<void> {
  await writeFile(join(folder, `turn.${String(turn + 1)}`), "", { flag: "wx" });
}

async function highestTurn(folder: string): Promise<number> {
  const turns = (await readdir(folder)).map((name) => /^turn\.(\d+)$/.exec(name)?.[1]).filter((n) => n !== undefined);
  return Math.max(0, ...turns.map(Number));
}

async function isHeld(folder: string, turn: number): Promise<boolean> {
  const text = await readFile(join(folder, `turn.${String(turn)}`), "utf8");
  if (text === "") return false;
  const holder = JSON.parse(text) as Holder;
  return isAlive(holder.pid) && (await processStart(holder.pid)) === holder.started;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It lives and belongs to somebody else.
    return isCode(error, "EPERM");
  }
}

/** Field 22 of /proc/<pid>/stat (proc(5)); the command before it may hold blanks and brackets. */
async function processStart(pid: number): Promise<string> {
  const text = await readFile(`/proc/${String(pid)}/stat`, "utf8").catch(() => "");
  return text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
