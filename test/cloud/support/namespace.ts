/** A namespace of a test cluster with what a batch API has in it: two service accounts, and the service's rights. */
import { CoreV1Api, RbacAuthorizationV1Api, type KubeConfig } from "@kubernetes/client-node";
import { SERVICE_RULES } from "../../../components/batch-api/service-rules.ts";
import type { ControlPlane } from "./control-plane.ts";

/** The service account of the batch API's own pods, and that of its workers, which may do nothing. */
export const SERVICE_ACCOUNT = "service";
export const WORKER_ACCOUNT = "worker";

export interface NamespaceOptions {
  /**
   * Level of Pod Security that the namespace enforces; default none, since a pod reaches servers on this machine's loopback
   * only on the host's network, which "baseline" forbids.
   */
  readonly podSecurity?: "privileged" | "baseline" | "restricted";
}

export interface ApiNamespace {
  readonly name: string;
  /** Acts as the service, with its rights alone. */
  readonly service: KubeConfig;
  /**
   * What a pod on the host's network is told to find the API server: there is no service proxy on these nodes, so that the
   * address which the kubelet names leads nowhere.
   */
  readonly environment: readonly { readonly name: string; readonly value: string }[];
}

/** Resolves when pods can be made in it. */
export async function makeNamespace(
  plane: ControlPlane,
  name: string,
  { podSecurity = "privileged" }: NamespaceOptions = {},
): Promise<ApiNamespace> {
  const core = plane.admin.makeApiClient(CoreV1Api);
  const labels = { "pod-security.kubernetes.io/enforce": podSecurity };
  await core.createNamespace({ body: { metadata: { name, labels } } });
  await Promise.all([
    ...[SERVICE_ACCOUNT, WORKER_ACCOUNT].map((account) =>
      core.createNamespacedServiceAccount({ namespace: name, body: { metadata: { name: account } } }),
    ),
    grant(plane.admin, name),
  ]);
  const service = await plane.kubeConfigFor(SERVICE_ACCOUNT, name);
  const environment = [
    { name: "KUBERNETES_SERVICE_HOST", value: "127.0.0.1" },
    { name: "KUBERNETES_SERVICE_PORT", value: String(plane.port) },
  ];
  return { name, service, environment };
}

async function grant(admin: KubeConfig, namespace: string): Promise<void> {
  const rbac = admin.makeApiClient(RbacAuthorizationV1Api);
  const metadata = { name: SERVICE_ACCOUNT };
  await rbac.createNamespacedRole({ namespace, body: { metadata, rules: [...SERVICE_RULES] } });
  const subjects = [{ kind: "ServiceAccount", name: SERVICE_ACCOUNT, namespace }];
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: SERVICE_ACCOUNT };
  await rbac.createNamespacedRoleBinding({ namespace, body: { metadata, subjects, roleRef } });
}
