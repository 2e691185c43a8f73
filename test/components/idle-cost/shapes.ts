/** The stacks whose idle cost is told. */
import { BatchApi } from "../../../components/batch-api.ts";
import { BatchCluster, type BatchClusterArgs } from "../../../components/batch-cluster.ts";
import { BatchStore } from "../../../components/batch-store.ts";
import { GpuNodeGroup } from "../../../components/gpu-node-group.ts";
import { aProject } from "../support/a-project.ts";

export interface Shape {
  readonly title: string;
  /** What it is, and what it gives up, in Markdown. */
  readonly about: string;
  readonly program: () => unknown;
}

const digest = `sha256:${"0".repeat(64)}`;
const image = { service: `registry.example/service@${digest}`, worker: `registry.example/worker@${digest}` };

const BALANCER = {
  auth: { kind: "apiKeys", keys: [{ name: "pipeline", sha256: "a".repeat(64), scopes: ["submit"] }] },
  ingress: {
    kind: "loadBalancer",
    scheme: "internal",
    certificateArn: "arn:aws:acm:us-east-1:123456789012:certificate/batch",
    cidrs: ["10.0.0.0/8"],
  },
} as const;

/** One API on GPU nodes: the first program of the README, in different clusters. */
function stackOf(
  cluster: Partial<BatchClusterArgs>,
  api: typeof BALANCER | { readonly replicas?: number } = {},
): () => unknown {
  return () => {
    const path = aProject("image-classifier");
    const store = new BatchStore("store");
    const apiServer = { kind: "public", cidrs: ["203.0.113.7/32"] } as const;
    const batch = new BatchCluster("batch", { store, apiServer, ...cluster });
    const gpus = new GpuNodeGroup("gpus", {
      cluster: batch,
      instanceTypes: ["g6.xlarge"],
      capacity: "spot",
      nodesMax: 8,
    });
    new BatchApi("image-classifier", {
      cluster: batch,
      runsOn: [gpus],
      code: { kind: "project", path },
      image,
      ...api,
    });
  };
}

export const SHAPES = {
  typical: {
    title: "Typical",
    about:
      "All defaults: three zones, private nodes behind one NAT gateway, two system nodes, one API without a balancer.",
    program: stackOf({}),
  },
  balanced: {
    title: "With a load balancer",
    about:
      'The same, with `ingress: { kind: "loadBalancer", scheme: "internal", … }` for the API. Each API has a balancer of its own.',
    program: stackOf({}, BALANCER),
  },
  lean: {
    title: "Lean",
    about: [
      '`network: { kind: "created", zones: 2, natGateways: 0 }` and `systemNodes: { instanceType: "t3.small", nodesMin: 1 }` for the cluster, `replicas: 1` for the API. It gives up:',
      "",
      "- **Private nodes.** Nodes have public addresses. Nothing can connect to them, because no security group lets anything in; but only that keeps them apart.",
      "- **A second system node, and a second replica of the service on it.** When the only one fails, nobody can submit until the next one is there, some minutes later. Running jobs go on meanwhile; their retries and their ends wait.",
      "- **Room.** One `t3.small` holds one or two APIs; the autoscaler adds a second node for more, and while an update rolls.",
      "- **A third zone**, where GPUs might have been free.",
      "- **A load balancer.** `millrace connect` forwards a port.",
    ].join("\n"),
    program: stackOf(
      {
        network: { kind: "created", zones: 2, natGateways: 0 },
        systemNodes: { instanceType: "t3.small", nodesMin: 1 },
      },
      { replicas: 1 },
    ),
  },
} as const satisfies Record<string, Shape>;
