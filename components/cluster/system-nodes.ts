/** The nodes that are always there: for CoreDNS, the autoscaler and the submission services. */
import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import { CPU_INSTANCE_TYPES } from "../cpu-instance-types.ts";
import { shapeOf, type InstanceShape } from "../instance-shape.ts";
import type { Tags } from "../tags.ts";
import { defaultAmiType, NODE_GROUP_LABEL, nodeTemplate } from "./node-template.ts";

export interface SystemNodes {
  /**
   * Default `t3.medium`, amd64 as GPU nodes are: one build of each image serves the whole cluster, and so does an image given to an API.
   * `t4g.medium` costs a fifth less and needs the services' image for arm64. `t3.small` is enough for two APIs.
   */
  readonly instanceType?: string;
  /** Nodes that are always there, 1 to 100; default 2, in two zones. With 1, its loss stops submissions for minutes; running jobs go on. */
  readonly nodesMin?: number;
  /** Nodes at most; default one more than `nodesMin`: the autoscaler adds one when services no longer fit. */
  readonly nodesMax?: number;
  /** Disk of a node, 20 to 16,384 GiB; default 20: images, logs. */
  readonly diskGiB?: number;
}

/** With nothing left open. */
export interface SystemNodesShape {
  readonly instanceType: string;
  readonly nodesMin: number;
  readonly nodesMax: number;
  readonly diskGiB: number;
  readonly shape: InstanceShape;
}

export const SYSTEM_DEFAULTS = { instanceType: "t3.medium", nodesMin: 2, diskGiB: 20 } as const;

/** Of checked arguments: a type that is not in the table has the default's shape. */
export function systemNodesShape(given: SystemNodes = {}): SystemNodesShape {
  const { instanceType, nodesMin, diskGiB } = { ...SYSTEM_DEFAULTS, ...given };
  const facts = CPU_INSTANCE_TYPES[instanceType] ?? CPU_INSTANCE_TYPES[SYSTEM_DEFAULTS.instanceType];
  if (facts === undefined) throw new Error(`no facts of ${SYSTEM_DEFAULTS.instanceType}`);
  return { instanceType, nodesMin, nodesMax: given.nodesMax ?? nodesMin + 1, diskGiB, shape: shapeOf(facts) };
}

interface SystemNodesPlace {
  readonly clusterName: pulumi.Input<string>;
  readonly kubernetesVersion: string;
  readonly nodeRoleArn: pulumi.Input<string>;
  readonly securityGroupId: pulumi.Input<string>;
  readonly subnetIds: pulumi.Input<string[]>;
}

/** Declares the group: no taint, so that whatever tolerates nothing runs here. */
export function createSystemNodes(
  name: string,
  nodes: SystemNodesShape,
  place: SystemNodesPlace,
  tags: Tags,
  options: { readonly parent: pulumi.Resource; readonly dependsOn: readonly pulumi.Resource[] },
): aws.eks.NodeGroup {
  const amiType = defaultAmiType(nodes.shape.architecture, false);
  const template = { amiType, diskGiB: nodes.diskGiB, securityGroupId: place.securityGroupId, tags };
  return new aws.eks.NodeGroup(
    `${name}-system`,
    {
      clusterName: place.clusterName,
      version: place.kubernetesVersion,
      nodeRoleArn: place.nodeRoleArn,
      subnetIds: place.subnetIds,
      ...{ amiType, instanceTypes: [nodes.instanceType], capacityType: "ON_DEMAND" },
      scalingConfig: { minSize: nodes.nodesMin, desiredSize: nodes.nodesMin, maxSize: nodes.nodesMax },
      labels: { [NODE_GROUP_LABEL]: "system" },
      launchTemplate: nodeTemplate(`${name}-system`, template, options.parent),
      nodeRepairConfig: { enabled: true },
      updateConfig: { maxUnavailable: 1 },
      tags,
    },
    // the autoscaler owns how many there are
    { parent: options.parent, dependsOn: [...options.dependsOn], ignoreChanges: ["scalingConfig.desiredSize"] },
  );
}
