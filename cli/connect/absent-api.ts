/** Why an API has no pod where it was looked for. */
import type { CoreV1Api, V1Pod } from "@kubernetes/client-node";
import { statusOf } from "../../services/backends/kubernetes/api-calls.ts";
import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import { nearestWord } from "../../services/protocol/nearest-word.ts";
import { API_LABEL, namespaceOf, SERVICE_LABEL } from "../../services/protocol/service-pods.ts";
import { CliError } from "../cli-error.ts";

/** An API's service somewhere in the cluster. */
interface Place {
  readonly api: string;
  readonly namespace: string;
}

/** What may not be looked at is left out. */
export async function absentApi(core: CoreV1Api, api: string, namespace: string): Promise<CliError> {
  const places = await placesIn(core, namespace);
  const here = places.filter((place) => place.namespace === namespace).map((place) => place.api);
  const elsewhere = places.filter((place) => place.api === api && place.namespace !== namespace);
  const what = (await isMissing(core, namespace))
    ? `there is no namespace ${namespace}`
    : `no pod of API "${api}" is in namespace ${namespace}${await refusedPod(core, namespace)}`;
  return new CliError(`${what}; ${fix({ api, here, elsewhere, places })}`, CLI_EXIT.notFound);
}

interface Found {
  readonly api: string;
  readonly here: readonly string[];
  readonly elsewhere: readonly Place[];
  readonly places: readonly Place[];
}

function fix({ api, here, elsewhere, places }: Found): string {
  const [only] = elsewhere;
  if (only !== undefined)
    return `it runs in ${only.namespace}: \`millrace connect ${api} --namespace ${only.namespace}\``;
  if (here.length > 0) return `${nearOf(api, here)}there ${here.length === 1 ? "is" : "are"} ${here.join(", ")}`;
  const apis = [...new Set(places.map((place) => place.api))];
  if (apis.length === 0) return "name its namespace with --namespace, or another cluster with --context";
  const near = places.find((place) => place.api === nearestWord(api, apis));
  if (near === undefined) return `this cluster has ${apis.join(", ")}; name another one with --context`;
  const where = near.namespace === namespaceOf(near.api) ? "" : ` --namespace ${near.namespace}`;
  return `did you mean \`millrace connect ${near.api}${where}\`? This cluster has ${apis.join(", ")}`;
}

function nearOf(api: string, here: readonly string[]): string {
  const near = nearestWord(api, here);
  return near === undefined ? "" : `did you mean "${near}"? `;
}

/** Of the whole cluster where that may be read, else of the namespace. */
async function placesIn(core: CoreV1Api, namespace: string): Promise<readonly Place[]> {
  const labelSelector = `${SERVICE_LABEL.name}=${SERVICE_LABEL.value}`;
  const all = await core.listPodForAllNamespaces({ labelSelector, limit: 500 }).catch(() => undefined);
  const { items } = all ?? (await core.listNamespacedPod({ namespace, labelSelector }));
  const places = new Map(items.map(placeOf).map((place) => [`${place.namespace}/${place.api}`, place]));
  return [...places.values()].sort((a, b) => (a.api < b.api ? -1 : 1));
}

function placeOf({ metadata }: V1Pod): Place {
  return { api: metadata?.labels?.[API_LABEL] ?? "", namespace: metadata?.namespace ?? "" };
}

/** Who may not read namespaces is told nothing of them. */
async function isMissing(core: CoreV1Api, namespace: string): Promise<boolean> {
  return core.readNamespace({ name: namespace }).then(
    () => false,
    (error: unknown) => statusOf(error) === 404,
  );
}

/** What Kubernetes answered to whoever wanted to make its pods: a quota, pod security. */
async function refusedPod(core: CoreV1Api, namespace: string): Promise<string> {
  const told = await core
    .listNamespacedEvent({ namespace, fieldSelector: "reason=FailedCreate" })
    .catch(() => undefined);
  const message = told?.items.findLast(({ involvedObject }) => involvedObject.kind === "ReplicaSet")?.message;
  return message === undefined ? "" : ` (Kubernetes refuses to make one: ${message.replace(/^Error creating: /, "")})`;
}
