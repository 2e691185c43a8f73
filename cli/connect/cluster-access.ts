/** The user's way into a cluster: kubeconfig files, as kubectl reads them. */
import { readFile } from "node:fs/promises";
import { delimiter, dirname, join, resolve } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { nearestWord } from "../../services/protocol/nearest-word.ts";
import { CliError } from "../cli-error.ts";
import type { Cli } from "../cli.ts";

export interface AccessOptions {
  /** `--kubeconfig`: this file alone. Default: those of KUBECONFIG, else `~/.kube/config`. */
  readonly kubeconfig?: string;
  /** `--context`; default: the current one. */
  readonly context?: string;
}

export interface ClusterAccess {
  readonly kubeConfig: KubeConfig;
  /** Name of the context. */
  readonly context: string;
  /** Address of the API server. */
  readonly server: string;
  /** Name of the user in the kubeconfig; the cluster may know it by another one. */
  readonly user: string;
  /** Program that the user signs in with, and its arguments, where there is one. */
  readonly plugin: readonly string[];
}

/** Throws `CliError`. */
export async function clusterAccess(cli: Cli, options: AccessOptions): Promise<ClusterAccess> {
  const kubeConfig = await mergedConfig(cli, options);
  const names = kubeConfig.getContexts().map(({ name }) => name);
  const name = options.context ?? kubeConfig.getCurrentContext();
  const context = kubeConfig.getContextObject(name);
  if (context === null) throw new CliError(unknownContext(name, names, options.context !== undefined));
  kubeConfig.setCurrentContext(name);
  const cluster = kubeConfig.getCluster(context.cluster);
  if (cluster === null) {
    const fix = "correct it, or have it written anew (`aws eks update-kubeconfig --name CLUSTER`)";
    throw new CliError(
      `the kubeconfig's context "${name}" names a cluster "${context.cluster}" that is not in it; ${fix}`,
    );
  }
  const plugin = kubeConfig.getUser(context.user)?.exec as { command?: string; args?: readonly string[] } | undefined;
  return {
    kubeConfig,
    context: name,
    server: cluster.server,
    user: context.user,
    plugin: plugin?.command === undefined ? [] : [plugin.command, ...(plugin.args ?? [])],
  };
}

/** All files together; of two entries of one name the first counts, as with kubectl. */
async function mergedConfig(cli: Cli, { kubeconfig }: AccessOptions): Promise<KubeConfig> {
  const named = (cli.environment["KUBECONFIG"] ?? "").split(delimiter).filter((path) => path !== "");
  const paths = kubeconfig === undefined ? named : [kubeconfig];
  const fallback = join(cli.home, ".kube", "config");
  const files = (paths.length === 0 ? [fallback] : paths).map((path) => resolve(cli.folder, path));
  const read = await Promise.all(files.map((file) => readConfig(file)));
  const configs = read.filter((config) => config !== undefined);
  if (configs.length === 0) {
    const from = kubeconfig !== undefined ? "--kubeconfig" : paths.length > 0 ? "KUBECONFIG" : "kubeconfig";
    const fix = "have one written (`aws eks update-kubeconfig --name CLUSTER`), or name another with --kubeconfig";
    throw new CliError(`${from}: ${files.join(", ")} ${files.length > 1 ? "do" : "does"} not exist; ${fix}`);
  }
  const merged = new KubeConfig();
  const currents = configs.map((one) => one.getCurrentContext() as string | undefined);
  merged.loadFromOptions({
    clusters: firstOfEach(configs.flatMap((one) => one.getClusters())),
    users: firstOfEach(configs.flatMap((one) => one.getUsers())),
    contexts: firstOfEach(configs.flatMap((one) => one.getContexts())),
    currentContext: currents.find((one) => one !== undefined && one !== "") ?? "",
  });
  return merged;
}

/** Undefined when there is no such file. */
async function readConfig(file: string): Promise<KubeConfig | undefined> {
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    throw new CliError(
      `kubeconfig: ${file} cannot be read (${code}); make it yours, or name another with --kubeconfig`,
    );
  });
  if (text === undefined) return undefined;
  const config = new KubeConfig();
  try {
    if (text.trim() !== "") config.loadFromString(text);
    config.makePathsAbsolute(dirname(file));
  } catch (error) {
    const why = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    throw new CliError(`kubeconfig: ${file} is none (${why}); correct it, or name another with --kubeconfig`);
  }
  return config;
}

function firstOfEach<T extends { readonly name: string }>(entries: readonly T[]): T[] {
  return entries.filter(({ name }, at) => entries.findIndex((one) => one.name === name) === at);
}

function unknownContext(name: string, names: readonly string[], wasGiven: boolean): string {
  const there = names.length === 0 ? "it has none" : `it has ${names.join(", ")}`;
  if (name === "") return `kubeconfig: no context is current (${there}); choose one with --context`;
  const near = nearestWord(name, names);
  const fix = near === undefined ? "choose one with --context" : `did you mean "${near}"?`;
  return `${wasGiven ? "--context" : "kubeconfig"}: there is no context "${name}" (${there}); ${fix}`;
}
