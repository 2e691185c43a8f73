/** `millrace connect`: a port of this machine that leads to an API in a cluster, for as long as it runs. */
import { apiClients } from "../../services/backends/kubernetes/api-calls.ts";
import { identify } from "../../services/backends/process-identity.ts";
import { apiNameFault } from "../../services/protocol/api-names.ts";
import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import { faultSentence } from "../../services/protocol/problems.ts";
import { DOORS_PORT, namespaceOf } from "../../services/protocol/service-pods.ts";
import { CliError } from "../cli-error.ts";
import type { Cli } from "../cli.ts";
import { Client, Unreachable } from "../client.ts";
import { absentApi } from "../connect/absent-api.ts";
import { clusterAccess, type ClusterAccess } from "../connect/cluster-access.ts";
import { clusterFault, forwardFault } from "../connect/cluster-faults.ts";
import { openLocalDoor } from "../connect/local-door.ts";
import { ForwardRefused, podForwarder, type ForwarderOptions, type PodForwarder } from "../connect/pod-forwarder.ts";
import { noneReady, PodSwitch } from "../connect/pod-switch.ts";
import { ServicePods } from "../connect/service-pods.ts";
import { changeContexts, checkContextName, isOpen, withCurrent, without, type HeldBy } from "../contexts.ts";
import { shownKey } from "../shown-key.ts";
import { whenAborted } from "../when-aborted.ts";
import { readableFile, wherein } from "./context.ts";

export interface ConnectOptions {
  readonly output?: "json";
  readonly namespace?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly port: number;
  readonly name?: string;
  readonly apiKeyFile?: string;
}

/** Until Ctrl-C or SIGTERM; 0 then. */
export function connect(cli: Cli, api: string, options: ConnectOptions): Promise<number> {
  return connectBy(podForwarder, cli, api, options);
}

/** As `connect`, with another way to a pod. */
export async function connectBy(
  forwarderOf: (options: ForwarderOptions) => PodForwarder,
  cli: Cli,
  api: string,
  options: ConnectOptions,
): Promise<number> {
  const wanted = await checked(cli, api, options);
  const access = await clusterAccess(cli, options);
  const { core } = apiClients(access.kubeConfig);
  const { namespace } = wanted;
  const ended = cli.interrupts.take();
  const pods = new ServicePods({ api, namespace, kubeConfig: access.kubeConfig, core, cli });
  const fault = (error: unknown) =>
    error instanceof ForwardRefused
      ? forwardFault(access, namespace, error.status)
      : clusterFault(access, namespace, error);
  const say = (sentence: string) => {
    cli.err.write(`${sentence}\n`);
  };
  try {
    const found = await pods.start().catch((error: unknown) => {
      throw fault(error);
    });
    if (found.length === 0) throw await absentApi(core, api, namespace);
    if ((await pods.ready()).length === 0) throw noneReady(api, await pods.whyNoneReady());
    const forwarder = forwarderOf({ kubeConfig: access.kubeConfig, namespace, port: DOORS_PORT, clock: cli.clock });
    const toPods = new PodSwitch({ api, pods, forwarder, clock: cli.clock, fault, say, ended });
    const door = await openLocalDoor(options.port, (socket) => void toPods.join(socket));
    try {
      const held = { ...wanted, address: door.address, ended, options };
      const next = await nextStep(cli, held).catch((error: unknown) => {
        throw toPods.trouble ?? error;
      });
      toPods.tells();
      return await hold(cli, access, held, next);
    } finally {
      await door.close();
    }
  } finally {
    await pods.close();
  }
}

interface Wanted {
  readonly api: string;
  readonly namespace: string;
  /** Of the context that is saved. */
  readonly name: string;
  readonly apiKeyFile?: string;
}

async function checked(cli: Cli, api: string, options: ConnectOptions): Promise<Wanted> {
  const wrong = apiNameFault(api, "API");
  if (wrong !== undefined) throw new CliError(faultSentence(wrong).replace(/\.$/, ""));
  const name = options.name ?? api;
  checkContextName(name, "--name");
  const apiKeyFile =
    options.apiKeyFile === undefined ? {} : { apiKeyFile: await readableFile(cli, options.apiKeyFile) };
  return { api, namespace: options.namespace ?? namespaceOf(api), name, ...apiKeyFile };
}

interface Held extends Wanted {
  readonly address: string;
  readonly ended: AbortSignal;
  readonly options: ConnectOptions;
}

/** Keeps the context while it lasts. */
async function hold(cli: Cli, access: ClusterAccess, held: Held, next: string): Promise<number> {
  const { api, namespace, name, address, ended, options } = held;
  const process = identify(cli.pid);
  if (process === undefined) throw new Error(`process ${String(cli.pid)} does not know itself`);
  const command = commandLine(held);
  const saved = await changeContexts(cli, (before) => {
    const older = before.contexts.find((one) => one.name === name);
    if (older !== undefined && (older.heldBy === undefined || isOpen(older))) throw taken(older.heldBy, name);
    const previous = before.current === name ? older?.heldBy?.previous : before.current;
    const heldBy: HeldBy = {
      ...{ process, api, namespace, cluster: access.context, command },
      ...(previous === undefined ? {} : { previous }),
    };
    const { apiKeyFile } = held;
    return withCurrent(before, { name, address, ...(apiKeyFile === undefined ? {} : { apiKeyFile }), heldBy });
  });
  try {
    if (options.output === "json") cli.out.write(`${JSON.stringify({ address, context: name, api, namespace })}\n`);
    else cli.out.write(`${api} answers at ${address} until Ctrl-C; next, in another terminal: ${next}\n`);
    const where = wherein(cli, saved);
    if (where.includes(";")) cli.err.write(`${where}\n`);
    await whenAborted(ended);
  } finally {
    const left = await changeContexts(cli, (before) => {
      const mine = before.contexts.find((one) => one.name === name)?.heldBy?.process;
      return mine?.pid === process.pid && mine.startTime === process.startTime ? without(before, name) : before;
    });
    cli.err.write(`ended; ${wherein(cli, left)}\n`);
  }
  return CLI_EXIT.ok;
}

/** What to type first, after one request that went all the way. Throws `CliError` when it does not. */
async function nextStep(cli: Cli, { api, address, apiKeyFile }: Held): Promise<string> {
  const client = new Client(() => Promise.resolve(address), { key: shownKey(cli, apiKeyFile) });
  try {
    const { apis } = await client.json<{ apis: readonly unknown[] }>("/v1/apis");
    return apis.length === 0 ? "millrace deploy PROJECT" : `millrace submit ${api} INPUT…`;
  } catch (error) {
    if (error instanceof Unreachable) {
      const fix = `see \`kubectl logs\` of its pods`;
      throw new CliError(
        `a pod of API "${api}" is ready and its doors do not answer; ${fix}`,
        CLI_EXIT.unreachable,
        error,
      );
    }
    if (!(error instanceof CliError) || error.exitCode === CLI_EXIT.unreachable) throw error;
    return `millrace submit ${api} INPUT… (it answers: ${error.message})`; // it wants to know who asks
  }
}

function taken(heldBy: HeldBy | undefined, name: string): CliError {
  if (heldBy === undefined) {
    const fix = `give this one another with --name, or remove that one with \`millrace context remove ${name}\``;
    return new CliError(`a context "${name}" is on file already; ${fix}`);
  }
  const where = `${heldBy.namespace} of ${heldBy.cluster}, process ${String(heldBy.process.pid)}`;
  const fix = "use it, or give this one another name with --name";
  return new CliError(`another \`millrace connect\` holds context "${name}" (${where}); ${fix}`);
}

/** What connects so again. */
function commandLine({ api, namespace, options }: Held): string {
  const { kubeconfig, context, name, apiKeyFile, port } = options;
  const given = [
    ["--namespace", namespace],
    ["--kubeconfig", kubeconfig],
    ["--context", context],
    ["--port", port === 0 ? undefined : String(port)],
    ["--name", name],
    ["--api-key-file", apiKeyFile],
  ] as const;
  const words = given.flatMap(([option, value]) => (value === undefined ? [] : [option, quoted(value)]));
  return ["millrace", "connect", api, ...words].join(" ");
}

/** As a shell takes it for one word. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
