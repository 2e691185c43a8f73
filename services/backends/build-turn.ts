/**
 * Whose turn it is to build something in a folder, among processes that may die at any instruction. A turn is a complete file
 * `turn.<n>` made by `link(2)`, which fails if n exists; it is never removed, and the highest n is the turn. It is open to
 * others when it is empty (its holder gave up) or names a process that is gone. So no lock can be left behind.
 */
import { link, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { identify, isAlive, type ProcessIdentity } from "./process-identity.ts";

/** Answers the number (from 1) of the turn that this process got, or undefined while a living process has it. */
export async function takeTurn(folder: string): Promise<number | undefined> {
  await mkdir(folder, { recursive: true });
  const highest = await highestTurn(folder);
  if (highest > 0 && (await isHeld(folder, highest))) return undefined;
  const mine = highest + 1;
  const holder: ProcessIdentity = identify(process.pid) ?? { pid: process.pid, startTime: "" };
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
  return isAlive(JSON.parse(text) as ProcessIdentity);
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
