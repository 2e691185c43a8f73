/**
 * Named services, and which of them commands go to when they are told nothing else: `contexts.json` in the user's own
 * configuration folder. It holds addresses and names of files, never a key.
 */
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { join, isAbsolute } from "node:path";
import { identify, type ProcessIdentity } from "../services/backends/process-identity.ts";
import { nearestWord } from "../services/protocol/nearest-word.ts";
import { CLI_EXIT } from "../services/protocol/exit-codes.ts";
import { CliError } from "./cli-error.ts";
import type { Cli } from "./cli.ts";

/** Where a context of `millrace connect` leads, and the process that holds it open. */
export interface HeldBy {
  readonly process: ProcessIdentity;
  readonly api: string;
  readonly namespace: string;
  /** Context of the kubeconfig. */
  readonly cluster: string;
  /** What was typed, to be typed again. */
  readonly command: string;
  /** The context that was current before; it is again when this one ends. */
  readonly previous?: string;
}

export interface Context {
  /** Letters, digits, "-", "_" and "."; at most 63. */
  readonly name: string;
  /** `http://` or `https://`. */
  readonly address: string;
  /** Absolute path of a file that holds an API key or a token. */
  readonly apiKeyFile?: string;
  readonly heldBy?: HeldBy;
}

export interface Contexts {
  readonly current?: string;
  readonly contexts: readonly Context[];
}

const FORMAT = 1;
const NAME = /^[a-z0-9]([-a-z0-9_.]{0,61}[a-z0-9])?$/i;
const LOCK_MS_MAX = 5_000;
const LOCK_LOOK_MS = 20;

/** `${XDG_CONFIG_HOME:-~/.config}/millrace/contexts.json`; a relative XDG_CONFIG_HOME counts for nothing, as its standard says. */
export function contextsPath(cli: Pick<Cli, "environment" | "home">): string {
  const given = cli.environment["XDG_CONFIG_HOME"] ?? "";
  return join(isAbsolute(given) ? given : join(cli.home, ".config"), "millrace", "contexts.json");
}

/** What is on file; nothing when there is none. Throws `CliError`. */
export async function readContexts(cli: Cli): Promise<Contexts> {
  const path = contextsPath(cli);
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw new CliError(`${path} cannot be read (${codeOf(error)}); make it yours, or name a service with --address`);
  });
  if (text === undefined) return { contexts: [] };
  const parsed = parse(text);
  if (typeof parsed !== "string") return parsed;
  throw new CliError(`${path} ${parsed}; remove it, and name your services again with \`millrace context add\``);
}

/** Replaces what is on file by what `change` makes of it, with no other process in between. Throws `CliError`. */
export async function changeContexts(cli: Cli, change: (before: Contexts) => Contexts): Promise<Contexts> {
  const path = contextsPath(cli);
  await mkdir(join(path, ".."), { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw unwritable(path, error);
  });
  const unlock = await lock(cli, `${path}.lock`);
  try {
    const after = change(await readContexts(cli));
    await write(path, after);
    return after;
  } catch (error) {
    throw error instanceof CliError ? error : unwritable(path, error);
  } finally {
    await unlock();
  }
}

/** The context of that name. Throws `CliError` (not found) with the nearest one. */
export function contextNamed({ contexts }: Contexts, name: string): Context {
  const found = contexts.find((context) => context.name === name);
  if (found !== undefined) return found;
  const names = contexts.map((context) => context.name);
  const near = nearestWord(name, names);
  const known = names.length === 0 ? "none is on file" : `there are ${names.join(", ")}`;
  const fix = near === undefined ? "`millrace context add NAME --address URL` names one" : `did you mean "${near}"?`;
  throw new CliError(`there is no context "${name}" (${known}); ${fix}`, CLI_EXIT.notFound);
}

/** In place of one of its name; current from now on. */
export function withCurrent({ contexts }: Contexts, context: Context): Contexts {
  return { current: context.name, contexts: [...contexts.filter(({ name }) => name !== context.name), context] };
}

/** Without it. When it was current, what its connection found current is so again. */
export function without({ current, contexts }: Contexts, name: string): Contexts {
  const left = contexts.filter((context) => context.name !== name);
  if (current !== name) return { ...(current === undefined ? {} : { current }), contexts: left };
  const previous = contexts.find((context) => context.name === name)?.heldBy?.previous;
  const back = left.find((context) => context.name === previous);
  return { ...(back === undefined ? {} : { current: back.name }), contexts: left };
}

/** Whether the process that holds it open lives; true for one that no process holds. */
export function isOpen({ heldBy }: Context): boolean {
  return heldBy === undefined || identify(heldBy.process.pid)?.startTime === heldBy.process.startTime;
}

/** Throws `CliError` where a context may not be named so. `field`: what the user gave it by. */
export function checkContextName(name: string, field: string): void {
  if (NAME.test(name)) return;
  throw new CliError(`${field}: found "${name}"; use letters, digits, "-", "_" and ".", at most 63`);
}

/** Throws `CliError` where it is no address of a service. */
export function checkedAddress(given: string, field = "--address"): string {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url !== undefined && ["http:", "https:"].includes(url.protocol)) return given;
  throw new CliError(`${field}: found "${given}"; give one like http://127.0.0.1:8080`);
}

/** What the file holds, or what is wrong with it. */
function parse(text: string): Contexts | string {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return "is no JSON";
  }
  if (!isRecord(found)) return "holds no contexts";
  const { format, current, contexts } = found;
  if (format !== FORMAT) return "is of another version of Millrace";
  if (!Array.isArray(contexts) || !contexts.every(isContext)) return "holds no contexts";
  return { ...(typeof current === "string" ? { current } : {}), contexts };
}

function isContext(value: unknown): value is Context {
  if (!isRecord(value) || typeof value["name"] !== "string" || typeof value["address"] !== "string") return false;
  const { heldBy, apiKeyFile } = value;
  return URL.canParse(value["address"]) && isTextOrNone(apiKeyFile) && (heldBy === undefined || isHeldBy(heldBy));
}

function isHeldBy(value: unknown): value is HeldBy {
  if (!isRecord(value) || !isRecord(value["process"]) || !isTextOrNone(value["previous"])) return false;
  const { pid, startTime } = value["process"];
  const texts = [startTime, value["api"], value["namespace"], value["cluster"], value["command"]];
  return typeof pid === "number" && texts.every((one) => typeof one === "string");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isTextOrNone(value: unknown): value is string | undefined {
  return value === undefined || typeof value === "string";
}

/** Whole or not at all. */
async function write(path: string, contexts: Contexts): Promise<void> {
  const file = await open(`${path}.new`, "w", 0o600);
  try {
    await file.chmod(0o600); // of one that an earlier crash left
    await file.writeFile(`${JSON.stringify({ format: FORMAT, ...contexts }, undefined, 2)}\n`);
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}

/** Answers how to open it again. One that a killed process left is taken over once it is older than any change takes. */
async function lock(cli: Cli, path: string): Promise<() => Promise<void>> {
  const untilMs = cli.clock.monotonicMs() + LOCK_MS_MAX;
  for (;;) {
    try {
      await (await open(path, "wx", 0o600)).close();
      return () => rm(path, { force: true });
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw unwritable(path, error);
      const made = await stat(path).catch(() => undefined); // opened meanwhile
      if (made !== undefined && cli.clock.wallMs() - made.mtimeMs > LOCK_MS_MAX) await rm(path, { force: true });
      else if (cli.clock.monotonicMs() > untilMs) throw unwritable(path, error);
      else await cli.clock.sleep(LOCK_LOOK_MS);
    }
  }
}

function unwritable(path: string, error: unknown): CliError {
  const fix = "make its folder yours to write to, or name another one in XDG_CONFIG_HOME";
  return new CliError(`${path} cannot be written (${codeOf(error)}); ${fix}`, CLI_EXIT.failed, error);
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
