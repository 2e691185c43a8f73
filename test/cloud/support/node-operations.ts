/** What an operator does to a node, by the API. */
import { CoreV1Api, PatchStrategy, setHeaderOptions, type KubeConfig, type V1Taint } from "@kubernetes/client-node";

const MERGE = setHeaderOptions("Content-Type", PatchStrategy.MergePatch);
const CONFLICT = 409;

/** Said by an operator, or a cloud, of a node that is surely off: its pods are then given up and replaced. */
export const OUT_OF_SERVICE: V1Taint = {
  key: "node.kubernetes.io/out-of-service",
  value: "nodeshutdown",
  effect: "NoExecute",
};

export async function cordon(admin: KubeConfig, name: string): Promise<void> {
  await admin.makeApiClient(CoreV1Api).patchNode({ name, body: { spec: { unschedulable: true } } }, MERGE);
}

export async function uncordon(admin: KubeConfig, name: string): Promise<void> {
  await admin.makeApiClient(CoreV1Api).patchNode({ name, body: { spec: { unschedulable: null } } }, MERGE);
}

export async function taint(admin: KubeConfig, name: string, added: V1Taint): Promise<void> {
  await changeTaints(admin, name, (taints) => [...without(taints, added.key), added]);
}

export async function untaint(admin: KubeConfig, name: string, key: string): Promise<void> {
  await changeTaints(admin, name, (taints) => without(taints, key));
}

/** A device plugin's work, without devices: the node says that it has that many of `resource`, as `nvidia.com/gpu`. */
export async function advertise(admin: KubeConfig, name: string, resource: string, count: number): Promise<void> {
  const body = { status: { capacity: { [resource]: String(count) }, allocatable: { [resource]: String(count) } } };
  await admin.makeApiClient(CoreV1Api).patchNodeStatus({ name, body }, MERGE);
}

/** The API's Eviction of a pod, as a drain or an autoscaler asks for it. */
export async function evict(admin: KubeConfig, namespace: string, name: string): Promise<void> {
  const body = { metadata: { name, namespace } };
  await admin.makeApiClient(CoreV1Api).createNamespacedPodEviction({ name, namespace, body });
}

/** The node controller changes taints as well: a list that is not the newest is read again. */
async function changeTaints(
  admin: KubeConfig,
  name: string,
  change: (taints: readonly V1Taint[]) => readonly V1Taint[],
): Promise<void> {
  const core = admin.makeApiClient(CoreV1Api);
  for (;;) {
    const { metadata, spec } = await core.readNode({ name });
    const body = {
      metadata: { resourceVersion: metadata?.resourceVersion },
      spec: { taints: change(spec?.taints ?? []) },
    };
    try {
      await core.patchNode({ name, body }, MERGE);
      return;
    } catch (error) {
      if ((error as { code?: unknown }).code !== CONFLICT) throw error;
    }
  }
}

function without(taints: readonly V1Taint[], key: string): V1Taint[] {
  return taints.filter((one) => one.key !== key);
}
