/**
 * Finds the service that a command talks to: `--address`, else MILLRACE_ADDRESS, else the current context, else the service of
 * this machine on the root. `--root` names a service of this machine, and so does not look at the two in the middle.
 */
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ENV } from "../services/protocol/environment.ts";
import { CLI_EXIT } from "../services/protocol/exit-codes.ts";
import { CliError } from "./cli-error.ts";
import type { Cli } from "./cli.ts";
import { Client } from "./client.ts";
import { checkedAddress, contextNamed, isOpen, readContexts, type Context, type Contexts } from "./contexts.ts";
import { paintFor } from "./paint.ts";
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

/** Connects to the service, or throws `CliError` (unreachable). */
export async function connect(cli: Cli, where: Where): Promise<Connection> {
  return connectTo(cli, await targetOf(cli, where));
}

/** As `connect`; without a service the objects of the root are read as they lie. */
export async function connectToRead(cli: Cli, where: Where): Promise<Connection> {
  const target = await targetOf(cli, where);
  const root = rootOf(cli, where);
  const local = target.kind === "root" && (await findService(root)).kind === "none";
  if (!local || !(await isFolder(join(root, "store")))) return connectTo(cli, target);
  const { openStoredDoors } = await import("./stored.ts"); // loaded only here: it takes its time
  const doors = await openStoredDoors(cli, root);
  const client = new Client(() => Promise.resolve(doors.address));
  return { client, kind: "stored", close: () => doors.close() };
}

type Target =
  | { readonly kind: "address"; readonly address: string }
  | { readonly kind: "context"; readonly name: string }
  | { readonly kind: "root"; readonly root: string };

async function targetOf(cli: Cli, where: Where): Promise<Target> {
  const root = rootOf(cli, where);
  if (where.address !== undefined) return { kind: "address", address: checkedAddress(where.address) };
  if (where.root !== undefined) return { kind: "root", root };
  const fromEnvironment = cli.environment[ENV.address] ?? "";
  if (fromEnvironment !== "") return { kind: "address", address: checkedAddress(fromEnvironment, ENV.address) };
  const { current } = await readContexts(cli);
  if (current === undefined) return { kind: "root", root };
  await tellContext(cli, current, root);
  return { kind: "context", name: current };
}

/** So that nobody takes a cluster for this machine, or the other way round. */
async function tellContext(cli: Cli, name: string, root: string): Promise<void> {
  if ((await findService(root)).kind !== "none") {
    cli.err.write(`(context ${name}; the service that runs on ${root} is not asked: --root ${root} asks it)\n`);
  } else if (cli.err.isTerminal) cli.err.write(`${paintFor(cli.err, cli.environment)("dim", `(context ${name})`)}\n`);
}

async function connectTo(cli: Cli, target: Target): Promise<Connection> {
  const client = await clientOf(cli, target);
  return { client, kind: "service", close: () => Promise.resolve() };
}

async function clientOf(cli: Cli, target: Target): Promise<Client> {
  if (target.kind === "address") return new Client(() => Promise.resolve(target.address), { key: shownKey(cli) });
  if (target.kind === "root") {
    const locate = rootLocator(cli, target.root);
    await locate();
    return new Client(locate, { key: shownKey(cli) });
  }
  const { name } = target;
  // read at each call: a connection that was made anew has another address
  const locate = async () => openContext(await readContexts(cli), name).address;
  const { apiKeyFile, heldBy } = openContext(await readContexts(cli), name);
  const held = `see what its \`millrace connect\` says of ${heldBy?.api ?? ""}`;
  const fix = heldBy === undefined ? "check its balancer and your network" : held;
  return new Client(locate, {
    key: shownKey(cli, apiKeyFile),
    fix: `context "${name}" leads there: ${fix}, or ${leaving()}`,
  });
}

function openContext(contexts: Contexts, name: string): Context {
  const context = contextNamed(contexts, name);
  if (isOpen(context)) return context;
  const again = `start it again with \`${context.heldBy?.command ?? "millrace connect"}\``;
  throw new CliError(`the connection of context "${name}" has ended; ${again}, or ${leaving()}`, CLI_EXIT.unreachable);
}

function leaving(): string {
  return "`millrace context leave` goes back to the service of this machine";
}

/** Answers the address of the root's service now. */
function rootLocator(cli: Cli, root: string): () => Promise<string> {
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

function notRunning(root: string): CliError {
  const fix = "start it with `millrace serve`, or name another with --root or --address";
  return new CliError(`no service runs on ${root}; ${fix}`, CLI_EXIT.unreachable);
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}
