/** Finds the service that a command talks to. */
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ENV } from "../services/protocol/environment.ts";
import { CLI_EXIT } from "../services/protocol/exit-codes.ts";
import { CliError } from "./cli-error.ts";
import type { Cli } from "./cli.ts";
import { Client } from "./client.ts";
import { findService } from "./service-file.ts";
import { shownKey } from "./shown-key.ts";

export interface Where {
  readonly root?: string;
  readonly address?: string;
}

export interface Connection {
  readonly client: Client;
  /** `stored`: no service runs; what it left can be read. */
  readonly kind: "service" | "stored";
  close(): Promise<void>;
}

const STARTING_MS_MAX = 10_000;
const LOOK_MS = 100;

/** `--root`, else MILLRACE_ROOT, else `~/.millrace`; absolute. */
export function rootOf(cli: Cli, { root }: Where): string {
  const chosen = root ?? cli.environment[ENV.root] ?? "";
  return chosen === "" ? join(cli.home, ".millrace") : resolve(cli.folder, chosen);
}

/** Connects to the running service, or throws `CliError` (unreachable). */
export async function connect(cli: Cli, where: Where): Promise<Connection> {
  const locate = locator(cli, where);
  await locate();
  return { client: new Client(locate, { key: shownKey(cli) }), kind: "service", close: () => Promise.resolve() };
}

/** As `connect`; without a service the objects of the root are read as they lie. */
export async function connectToRead(cli: Cli, where: Where): Promise<Connection> {
  const root = rootOf(cli, where);
  const local = givenAddress(cli, where) === undefined && (await findService(root)).kind === "none";
  if (!local || !(await isFolder(join(root, "store")))) return connect(cli, where);
  const { openStoredDoors } = await import("./stored.ts"); // loaded only here: it takes its time
  const doors = await openStoredDoors(cli, root);
  const client = new Client(() => Promise.resolve(doors.address));
  return { client, kind: "stored", close: () => doors.close() };
}

/** Answers the service's address now. */
function locator(cli: Cli, where: Where): () => Promise<string> {
  const given = givenAddress(cli, where);
  if (given !== undefined) {
    const address = checkedAddress(given);
    return () => Promise.resolve(address);
  }
  const root = rootOf(cli, where);
  return async () => {
    const untilMs = cli.clock.monotonicMs() + STARTING_MS_MAX;
    for (;;) {
      const found = await findService(root);
      if (found.kind === "running") return found.address;
      if (found.kind === "none" || cli.clock.monotonicMs() > untilMs) throw notRunning(root);
      await cli.clock.sleep(LOOK_MS);
    }
  };
}

function givenAddress(cli: Cli, { address, root }: Where): string | undefined {
  const fromEnvironment = root === undefined ? (cli.environment[ENV.address] ?? "") : "";
  return address ?? (fromEnvironment === "" ? undefined : fromEnvironment);
}

function checkedAddress(given: string): string {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url !== undefined && ["http:", "https:"].includes(url.protocol)) return given;
  throw new CliError(`--address: found "${given}"; give one like http://127.0.0.1:8080`);
}

function notRunning(root: string): CliError {
  const fix = "start it with `millrace serve`, or name another with --root or --address";
  return new CliError(`no service runs on ${root}; ${fix}`, CLI_EXIT.unreachable);
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}
