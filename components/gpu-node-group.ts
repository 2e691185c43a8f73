/** Nodes with GPUs, from none to many. */
import * as pulumi from "@pulumi/pulumi";
import type { BatchCluster } from "./batch-cluster.ts";
import { checkNodeGroupArgs } from "./cluster/check-node-group.ts";
import type { InstanceShape } from "./instance-shape.ts";
import {
  createNodeGroup,
  groupFacts,
  type NodeTaint,
  type WorkerNodeGroup,
  type WorkerNodeGroupArgs,
} from "./worker-node-group.ts";

export type GpuNodeGroupArgs = WorkerNodeGroupArgs;

/**
 * A group of nodes with NVIDIA GPUs that costs nothing while no job runs.
 *
 *     const gpus = new GpuNodeGroup("gpus", { cluster, instanceTypes: ["g6.xlarge"], capacity: "spot", nodesMax: 8 });
 *
 * Owns a managed node group, its launch template, and the tags by which the autoscaler knows what an empty group would bring. Nodes
 * are tainted `nvidia.com/gpu=present:NoSchedule`, labelled `millrace/node-group=<name>` and `k8s.amazonaws.com/accelerator`, and
 * replaced by EKS when a GPU breaks. EKS rolls a change of disk, image or Kubernetes version through the group node by node; workers
 * hand back what they hold. Other instance types, another capacity or other subnets replace the group.
 *
 * @throws {pulumi.InputPropertyError} for types that are unknown, without GPUs or of several shapes, and for sizes that contradict
 */
export class GpuNodeGroup extends pulumi.ComponentResource implements WorkerNodeGroup {
  readonly cluster: BatchCluster;
  readonly kind: "gpu";
  readonly groupName: string;
  readonly taints: readonly NodeTaint[];
  readonly shape: InstanceShape;
  readonly ephemeralStorageGiB: number;
  readonly nodesMax: number;

  constructor(name: string, args: GpuNodeGroupArgs, opts?: pulumi.ComponentResourceOptions) {
    checkNodeGroupArgs("GpuNodeGroup", "gpu", name, args);
    super("millrace:index:GpuNodeGroup", name, {}, opts);
    const group = groupFacts("gpu", name, args);
    this.cluster = args.cluster;
    this.kind = "gpu";
    this.groupName = name;
    this.taints = group.taints;
    this.shape = group.shape;
    this.ephemeralStorageGiB = group.ephemeralStorageGiB;
    this.nodesMax = args.nodesMax;
    createNodeGroup("GpuNodeGroup", name, args, group, this);
    this.registerOutputs({});
  }
}
