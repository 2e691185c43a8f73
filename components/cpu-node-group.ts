/** Nodes without GPUs, from none to many. */
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

export type CpuNodeGroupArgs = WorkerNodeGroupArgs;

/**
 * A group of nodes without GPUs that costs nothing while no job runs.
 *
 *     const cpus = new CpuNodeGroup("cpus", { cluster, instanceTypes: ["m7i.xlarge", "m6i.xlarge"], nodesMax: 4 });
 *
 * As `GpuNodeGroup`, but for GPUs: nodes are tainted `millrace/workers=present:NoSchedule`, so that nothing but workers keeps them.
 *
 * @throws {pulumi.InputPropertyError} for types that are unknown, with GPUs or of several shapes, and for sizes that contradict
 */
export class CpuNodeGroup extends pulumi.ComponentResource implements WorkerNodeGroup {
  readonly cluster: BatchCluster;
  readonly kind: "cpu";
  readonly groupName: string;
  readonly taints: readonly NodeTaint[];
  readonly shape: InstanceShape;
  readonly ephemeralStorageGiB: number;
  readonly nodesMax: number;

  constructor(name: string, args: CpuNodeGroupArgs, opts?: pulumi.ComponentResourceOptions) {
    checkNodeGroupArgs("CpuNodeGroup", "cpu", name, args);
    super("millrace:index:CpuNodeGroup", name, {}, opts);
    const group = groupFacts("cpu", name, args);
    this.cluster = args.cluster;
    this.kind = "cpu";
    this.groupName = name;
    this.taints = group.taints;
    this.shape = group.shape;
    this.ephemeralStorageGiB = group.ephemeralStorageGiB;
    this.nodesMax = args.nodesMax;
    createNodeGroup("CpuNodeGroup", name, args, group, this);
    this.registerOutputs({});
  }
}
