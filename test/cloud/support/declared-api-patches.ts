/** What differs between a service as a stack declares it and as it runs on the tests' nodes, each with its reason. */
import type { V1Deployment } from "@kubernetes/client-node";
import { ENV } from "../../../services/protocol/environment.ts";

/** What these nodes are, so far as a service must be told. */
export interface TestPlace {
  /** An address at which pods reach the servers of the tests. */
  readonly address: string;
  readonly apiServerPort: number;
  /** Endpoints and credentials of the servers of the cloud's protocols, at that address. */
  readonly cloud: Readonly<Record<string, string>>;
  /** Queue URLs of the rendered lanes. */
  readonly laneUrls: readonly string[];
  /** Of leases, and of how long a replica must be ready before the next one leaves. */
  readonly leaseSeconds: number;
}

interface Patch {
  readonly why: string;
  /** Environment variables of the service that are added or changed. */
  readonly env?: (place: TestPlace) => Readonly<Record<string, string>>;
  readonly spec?: (spec: NonNullable<V1Deployment["spec"]>, place: TestPlace) => void;
}

const API_SERVER = "kubernetes.default.svc";

/** All of it, and of the Deployment alone: every other object is applied as it was rendered. */
export const PATCHES: readonly Patch[] = [
  {
    why: "nodes have neither kube-proxy nor DNS, so that the address of the API server which the kubelet tells leads nowhere",
    env: ({ apiServerPort }) => ({
      KUBERNETES_SERVICE_HOST: API_SERVER,
      KUBERNETES_SERVICE_PORT: String(apiServerPort),
    }),
    spec: ({ template: { spec } }, { address }) => {
      if (spec !== undefined) spec.hostAliases = [{ ip: address, hostnames: [API_SERVER] }];
    },
  },
  {
    why: "S3, SQS and CloudWatch Logs are servers of the tests, of a region of theirs, and no Pod Identity gives credentials",
    env: ({ cloud }) => cloud,
  },
  {
    why: "a queue's URL names its server; the queues have the rendered names",
    env: ({ laneUrls }) => ({ [ENV.lanes]: laneUrls.join(",") }),
  },
  {
    why: "a test has no time for a minute's lease; as declared, a replica is ready for one lease before the next one leaves",
    env: ({ leaseSeconds }) => ({ [ENV.leaseSeconds]: String(leaseSeconds) }),
    spec: (spec, { leaseSeconds }) => {
      spec.minReadySeconds = leaseSeconds;
    },
  },
];

/** The rendered Deployment with `PATCHES`; the one that is given stays as it is. */
export function patched(rendered: unknown, place: TestPlace): V1Deployment {
  const deployment = structuredClone(rendered) as V1Deployment;
  const container = deployment.spec?.template.spec?.containers[0];
  if (deployment.spec === undefined || container === undefined) throw new Error("the Deployment has no container");
  const env = new Map(container.env?.map((variable) => [variable.name, variable]));
  for (const patch of PATCHES) {
    for (const [name, value] of Object.entries(patch.env?.(place) ?? {})) env.set(name, { name, value });
    patch.spec?.(deployment.spec, place);
  }
  container.env = [...env.values()];
  return deployment;
}
