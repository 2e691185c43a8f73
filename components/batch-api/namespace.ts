/** An API's namespace: what may run in it, who may talk to whom, and what the service may do there. */
import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import {
  API_LABEL,
  BUILDER_ACCOUNT,
  DOORS_PORT,
  HEALTH_PORT,
  namespaceOf,
  SERVICE_ACCOUNT,
  serviceLabels,
  WORKER_ACCOUNT,
} from "./names.ts";
import { SERVICE_RULES } from "./service-rules.ts";

/** Where nodes tell their credentials to whoever asks (EC2 instance metadata). */
const NODE_METADATA = { ipv4: "169.254.169.254/32", ipv6: "fd00:ec2::254/128" };

export interface NamespaceArgs {
  readonly api: string;
  /** Whether the doors listen on the pod's address: then callers in the cluster reach them. */
  readonly doorsOpen: boolean;
}

/** Declares it; `options` carry parent and provider. What is declared in the namespace waits for it by its name. */
export function declareNamespace(
  name: string,
  { api, doorsOpen }: NamespaceArgs,
  options: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const space = new k8s.core.v1.Namespace(
    `${name}-namespace`,
    {
      metadata: {
        name: namespaceOf(api),
        labels: {
          "app.kubernetes.io/part-of": "millrace",
          [API_LABEL]: api,
          "pod-security.kubernetes.io/enforce": "restricted",
          "pod-security.kubernetes.io/warn": "restricted",
        },
      },
    },
    options,
  );
  const namespace = space.metadata.name;
  declareAccounts(name, namespace, options);
  declareNetwork(name, namespace, { api, doorsOpen }, options);
  return namespace;
}

function declareAccounts(name: string, namespace: pulumi.Output<string>, options: pulumi.CustomResourceOptions): void {
  for (const account of [SERVICE_ACCOUNT, WORKER_ACCOUNT, BUILDER_ACCOUNT]) {
    new k8s.core.v1.ServiceAccount(
      `${name}-${account}-account`,
      { metadata: { name: account, namespace }, automountServiceAccountToken: account === SERVICE_ACCOUNT },
      options,
    );
  }
  const metadata = { name: SERVICE_ACCOUNT, namespace };
  const role = new k8s.rbac.v1.Role(`${name}-rights`, { metadata, rules: [...SERVICE_RULES] }, options);
  new k8s.rbac.v1.RoleBinding(
    `${name}-rights-binding`,
    {
      metadata,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: role.metadata.name },
      subjects: [{ kind: "ServiceAccount", name: SERVICE_ACCOUNT, namespace }],
    },
    options,
  );
}

/** Nobody talks to workers; everybody here talks to the world, but not to the node's metadata. */
function declareNetwork(
  name: string,
  namespace: pulumi.Output<string>,
  { api, doorsOpen }: NamespaceArgs,
  options: pulumi.CustomResourceOptions,
): void {
  new k8s.networking.v1.NetworkPolicy(
    `${name}-network`,
    {
      metadata: { name: "all-pods", namespace },
      spec: {
        podSelector: {},
        policyTypes: ["Ingress", "Egress"],
        ingress: [],
        egress: [
          {
            to: [
              { ipBlock: { cidr: "0.0.0.0/0", except: [NODE_METADATA.ipv4] } },
              { ipBlock: { cidr: "::/0", except: [NODE_METADATA.ipv6] } },
            ],
          },
        ],
      },
    },
    options,
  );
  const port = (number: number) => ({ port: number, protocol: "TCP" });
  new k8s.networking.v1.NetworkPolicy(
    `${name}-service-network`,
    {
      metadata: { name: "service", namespace },
      spec: {
        podSelector: { matchLabels: { ...serviceLabels(api) } },
        policyTypes: ["Ingress"],
        ingress: [{ ports: [port(HEALTH_PORT), ...(doorsOpen ? [port(DOORS_PORT)] : [])] }],
      },
    },
    options,
  );
}
