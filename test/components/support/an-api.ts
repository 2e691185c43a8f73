/** An API as tests need one, and what it declares. */
import { BatchApi } from "../../../components/batch-api.ts";
import type { BatchApiArgs } from "../../../components/batch-api-args.ts";
import type { BatchCluster } from "../../../components/batch-cluster.ts";
import { CpuNodeGroup } from "../../../components/cpu-node-group.ts";
import { GpuNodeGroup } from "../../../components/gpu-node-group.ts";
import { aCluster, EXISTING } from "./a-cluster.ts";
import { aProject } from "./a-project.ts";
import { render, type RenderedStack } from "./render.ts";

const DIGEST = `sha256:${"d".repeat(64)}`;
export const IMAGES = { service: `registry.example/service@${DIGEST}`, worker: `registry.example/worker@${DIGEST}` };

type Given = Partial<Omit<BatchApiArgs, "cluster">>;
interface Around {
  readonly cluster: BatchCluster;
  readonly gpus: GpuNodeGroup;
  readonly cpus: CpuNodeGroup;
}

/** A cluster that is there already, with nodes that a balancer can send to. */
export function adoptedCluster(): BatchCluster {
  return aCluster({ kubernetesVersion: "1.35", existing: { ...EXISTING, systemAutoScalingGroupName: "eks-services" } });
}

/** An API "words" of a small project (or of what is given), in a cluster with a group of each kind. */
export function anApi(given: Given | ((around: Around) => Given) = {}, options: { readonly preview?: boolean } = {}) {
  const path = aProject("words");
  return render(() => {
    const cluster = adoptedCluster();
    const gpus = new GpuNodeGroup("gpus", { cluster, instanceTypes: ["g6.xlarge"], nodesMax: 2 });
    const cpus = new CpuNodeGroup("cpus", { cluster, instanceTypes: ["c7i.xlarge"], nodesMax: 2 });
    const own = typeof given === "function" ? given({ cluster, gpus, cpus }) : given;
    const api = new BatchApi("words", { cluster, code: { kind: "project", path }, image: IMAGES, ...own });
    const { endpoint, connect, bucket, logGroup, version } = api;
    return { endpoint, connect, bucket, logGroup, version };
  }, options);
}

/** Of its workers' PodTemplate. */
export function podOf(stack: RenderedStack) {
  return (stack.one("kubernetes:core/v1:PodTemplate").inputs.template as { readonly spec: Record<string, unknown> })
    .spec;
}

/** Environment variables of its service. */
export function serviceEnv(stack: RenderedStack): Readonly<Record<string, unknown>> {
  const { spec } = stack.one("kubernetes:apps/v1:Deployment", "words-service").inputs as {
    spec: { template: { spec: { containers: [{ env: readonly { name: string; value: unknown }[] }] } } };
  };
  return Object.fromEntries(spec.template.spec.containers[0].env.map(({ name, value }) => [name, value]));
}
