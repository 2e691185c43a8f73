/** What a cluster's refusal or silence means for whoever connects, and what to do about it. */
import { statusOf, wordsOf } from "../../services/backends/kubernetes/api-calls.ts";
import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import { CliError } from "../cli-error.ts";
import type { ClusterAccess } from "./cluster-access.ts";

const RIGHTS = "list and watch of pods, and get and create of pods/portforward,";

/** The API server said no, or nothing. */
export function clusterFault(access: ClusterAccess, namespace: string, error: unknown): CliError {
  const answer = causesOf(error).find((one) => statusOf(one) !== undefined) ?? error;
  const status = statusOf(answer);
  if (status === 401) return unreachable(error, notKnown(access));
  if (status === 403) {
    const words = `"${access.user}" may not list the pods of namespace ${namespace} (${wordsOf(answer)})`;
    const fix = `check the name, or have ${RIGHTS} granted there`;
    return new CliError(`${words}; ${fix}`, CLI_EXIT.failed, error);
  }
  if (status !== undefined) {
    const words = `the cluster of context "${access.context}" refuses: ${wordsOf(answer)}`;
    return unreachable(error, `${words}; try again, or choose another with --context`);
  }
  return unreachable(error, pluginWords(access, error) ?? silenceWords(access, error));
}

/** The API server refused a port-forward to a pod. `status`: of its answer. */
export function forwardFault(access: ClusterAccess, namespace: string, status: number): CliError {
  if (status === 401) return unreachable(undefined, notKnown(access));
  if (status === 403) {
    const words = `"${access.user}" may not forward a port to pods of namespace ${namespace}`;
    return new CliError(`${words}; have ${RIGHTS} granted there`, CLI_EXIT.failed);
  }
  const words = `the cluster of context "${access.context}" forwards no port to pods of namespace ${namespace}`;
  const fix = "the pod's node may not answer: `kubectl get nodes` tells, and another try may reach another pod";
  return unreachable(undefined, `${words} (HTTP ${String(status)}); ${fix}`);
}

function notKnown({ user, context, plugin }: ClusterAccess): string {
  const how = plugin.length === 0 ? "renew them in the kubeconfig" : `sign in again (it uses \`${plugin.join(" ")}\`)`;
  return `the cluster of context "${context}" does not know the credentials of "${user}"; ${how}, or have "${user}" let in`;
}

/** The program that signs in is missing, or says no. */
function pluginWords({ plugin, user }: ClusterAccess, error: unknown): string | undefined {
  const [program] = plugin;
  if (program === undefined) return undefined;
  const causes = causesOf(error);
  const spawning = causes.find((one) => String((one as NodeJS.ErrnoException).syscall).startsWith("spawn"));
  if (spawning !== undefined) {
    const what = program === "aws" ? "the AWS CLI" : `\`${program}\``;
    return `"${user}" signs in with \`${program}\`, which is not installed here; install ${what}, or put it on PATH`;
  }
  const last = causes.at(-1);
  // what the plugin printed comes as a bare error; a network's has a code or a name of its own
  if (last?.name !== "Error" || "code" in last) return undefined;
  const said = last.message.trim().split("\n").at(-1) ?? "";
  const why = said === "" ? "it says nothing" : said.replace(/[.;]+$/, "");
  return `"${user}" signs in with \`${plugin.join(" ")}\`, which fails (${why}); run it yourself, and mend what it says`;
}

function silenceWords({ server, context }: ClusterAccess, error: unknown): string {
  const last = causesOf(error).at(-1);
  const why = last === undefined ? String(error) : codeOf(last);
  const fix =
    "check that you are on a network that it answers to (VPN, allowed addresses), or choose another with --context";
  return `the cluster of context "${context}" does not answer at ${server} (${why}); ${fix}`;
}

function codeOf(error: Error): string {
  if (error.name === "TimeoutError") return "no answer in time";
  return "code" in error ? String(error.code) : error.message;
}

/** The error and what caused it, the deepest last. */
function causesOf(error: unknown): readonly Error[] {
  const causes: Error[] = [];
  for (let one = error; one instanceof Error && causes.length < 8; one = one.cause) causes.push(one);
  return causes;
}

function unreachable(cause: unknown, words: string): CliError {
  return new CliError(words, CLI_EXIT.unreachable, cause);
}
