/** The Kubernetes cluster that batch APIs share. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { BatchStore } from "./batch-store.ts";
import { AddOns } from "./cluster/add-ons.ts";
import { createAutoscaler } from "./cluster/autoscaler.ts";
import { type BatchClusterArgs, checkClusterArgs, DEFAULT_KUBERNETES_VERSION } from "./cluster/batch-cluster-args.ts";
import { createControlPlane } from "./cluster/control-plane.ts";
import type { ExistingCluster } from "./cluster/existing-cluster.ts";
import {
  createNetwork,
  existingNetwork,
  idsOf,
  loadBalancerSubnetIds,
  type LoadBalancerSubnetIds,
  type NetworkFacts,
} from "./cluster/network.ts";
import { ClusterImages } from "./images/cluster-images.ts";
import { createNodeRole } from "./cluster/node-role.ts";
import { autoScalingGroupNameOf } from "./cluster/node-template.ts";
import { createSystemNodes, type SystemNodesShape, systemNodesShape } from "./cluster/system-nodes.ts";
import type { Architecture } from "./instance-shape.ts";
import { ownTags, type Tags } from "./tags.ts";

export type { BatchClusterArgs } from "./cluster/batch-cluster-args.ts";

/**
 * An EKS cluster for batch APIs, or one of yours.
 *
 *     const cluster = new BatchCluster("batch", { store, apiServer: { kind: "public", cidrs: ["203.0.113.7/32"] } });
 *
 * Owns control plane, network, system nodes, EKS's add-ons and the Cluster Autoscaler. Worker nodes are `GpuNodeGroup`s and
 * `CpuNodeGroup`s; without them jobs wait. Control-plane logs are off, and support ends with EKS's standard support, because each
 * would cost without being asked for.
 *
 * @throws {pulumi.InputPropertyError} naming what contradicts or is missing, before anything is declared
 */
export class BatchCluster extends pulumi.ComponentResource {
  readonly store: BatchStore;
  /** In AWS: project, stack and name. */
  readonly clusterName: pulumi.Output<string>;
  readonly clusterArn: pulumi.Output<string>;
  /** For what is declared in Kubernetes. It comes after the system nodes, so that what depends on it finds a node, and goes before them. */
  readonly provider: k8s.Provider;
  /** A secret. It asks the AWS CLI for a token. */
  readonly kubeconfig: pulumi.Output<string>;
  readonly kubernetesVersion: string;
  readonly vpcId: pulumi.Output<string>;
  readonly vpcCidr: string;
  readonly nodeSubnetIds: pulumi.Output<string[]>;
  readonly loadBalancerSubnetIds: LoadBalancerSubnetIds;
  readonly nodeSecurityGroupId: pulumi.Output<string>;
  readonly nodeRoleArn: pulumi.Output<string>;
  /** Nothing can connect to them: no security group of a node lets anything in from outside. */
  readonly nodesHavePublicIps: boolean;
  /** Of the system nodes; undefined: an existing cluster whose group was not given. */
  readonly systemAutoScalingGroupName: pulumi.Output<string> | undefined;
  /** undefined: those of an existing cluster, which are not known here. */
  readonly systemNodes: SystemNodesShape | undefined;
  /** Of the nodes that services run on: their images must be for it. */
  readonly systemArchitecture: Architecture;
  /** Of this package's own programs, for APIs that bring none. */
  readonly images: ClusterImages;

  constructor(name: string, args: BatchClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    checkClusterArgs(name, args);
    super("millrace:index:BatchCluster", name, {}, opts);
    const { kubernetesVersion = DEFAULT_KUBERNETES_VERSION, existing } = args;
    const tags = ownTags("BatchCluster", name, args.tags);
    const cluster =
      existing === undefined
        ? this.#create(name, { ...args, kubernetesVersion }, tags)
        : this.#adopt(name, { ...args, kubernetesVersion, existing }, tags);
    this.store = args.store;
    this.kubernetesVersion = kubernetesVersion;
    this.clusterName = cluster.clusterName;
    this.clusterArn = cluster.clusterArn;
    this.kubeconfig = cluster.kubeconfig;
    this.provider = cluster.provider;
    this.vpcId = cluster.network.vpcId;
    this.vpcCidr = cluster.network.vpcCidr;
    this.nodeSubnetIds = cluster.network.nodeSubnetIds;
    this.loadBalancerSubnetIds = cluster.network.loadBalancerSubnetIds;
    this.nodesHavePublicIps = cluster.network.nodesHavePublicIps;
    this.nodeSecurityGroupId = cluster.nodeSecurityGroupId;
    this.nodeRoleArn = cluster.nodeRoleArn;
    this.systemAutoScalingGroupName = cluster.systemAutoScalingGroupName;
    this.systemNodes = cluster.systemNodes;
    this.systemArchitecture = cluster.systemArchitecture;
    this.images = new ClusterImages({ name, systemArchitecture: this.systemArchitecture, tags: args.tags }, this);
    this.registerOutputs({ clusterName: this.clusterName });
  }

  /** Network, control plane, what nodes need, nodes, what needs nodes. */
  #create(name: string, args: BatchClusterArgs & Versioned, tags: Tags): Cluster {
    const network = this.#network(name, args, tags);
    const controlPlane = this.#controlPlane(name, args, network, tags);
    const place = this.#placeOf(controlPlane.eksCluster.name, controlPlane.eksCluster.arn, args);
    const addOns = new AddOns(name, place, tags, this);
    const nodeRole = createNodeRole(`${name}-node`, tags, this);
    const systemNodes = systemNodesShape(args.systemNodes);
    const { clusterSecurityGroupId: securityGroupId } = controlPlane;
    const nodes = createSystemNodes(
      name,
      systemNodes,
      { ...place, nodeRoleArn: nodeRole.arn, securityGroupId, subnetIds: network.nodeSubnetIds },
      tags,
      { parent: this, dependsOn: [...addOns.beforeNodes(), ...nodeRole.rights] },
    );
    const ready = [nodes, ...addOns.afterNodes(nodes, systemNodes.nodesMin)];
    const kubeconfig = pulumi.secret(controlPlane.kubeconfigJson);
    const provider = this.#provider(name, place.clusterArn, kubeconfig, ready);
    createAutoscaler(name, { ...place, provider, image: args.autoscalerImage }, tags, this);
    return {
      ...place,
      ...{ network, kubeconfig, provider, systemNodes },
      ...{ nodeSecurityGroupId: securityGroupId, nodeRoleArn: nodeRole.arn },
      systemAutoScalingGroupName: autoScalingGroupNameOf(nodes),
      systemArchitecture: systemNodes.shape.architecture,
    };
  }

  /** Declares what is said to be missing, and nothing else. */
  #adopt(name: string, args: BatchClusterArgs & Versioned & { existing: ExistingCluster }, tags: Tags): Cluster {
    const { existing } = args;
    const place = this.#placeOf(existing.clusterName, existing.clusterArn, args);
    const agent =
      existing.podIdentityAgent === "install" ? [new AddOns(name, place, tags, this).podIdentityAgent()] : [];
    const kubeconfig = pulumi.secret(existing.kubeconfig);
    const provider = this.#provider(name, place.clusterArn, kubeconfig, agent);
    if (existing.autoscaler === "install") {
      createAutoscaler(name, { ...place, provider, image: args.autoscalerImage }, tags, this);
    }
    const nodeSubnetIds = idsOf(existing.nodeSubnets);
    const { systemAutoScalingGroupName: group, systemArchitecture = "amd64" } = existing;
    return {
      ...place,
      ...{ kubeconfig, provider, systemNodes: undefined, systemArchitecture },
      network: {
        ...{ vpcId: pulumi.output(existing.vpcId), vpcCidr: existing.vpcCidr },
        ...{ nodeSubnetIds, controlPlaneSubnetIds: nodeSubnetIds, nodesHavePublicIps: false },
        loadBalancerSubnetIds: loadBalancerSubnetIds(nodeSubnetIds, existing.loadBalancerSubnets),
      },
      nodeSecurityGroupId: pulumi.output(existing.nodeSecurityGroupId),
      nodeRoleArn: pulumi.output(existing.nodeRoleArn),
      systemAutoScalingGroupName: group === undefined ? undefined : pulumi.output(group),
    };
  }

  #network(name: string, { network = { kind: "created" } }: BatchClusterArgs, tags: Tags): NetworkFacts {
    return network.kind === "created" ? createNetwork(name, network, tags, this) : existingNetwork(network);
  }

  #controlPlane(name: string, args: BatchClusterArgs & Versioned, network: NetworkFacts, tags: Tags) {
    return createControlPlane(
      name,
      {
        // checked: a cluster that is created has one
        apiServer: args.apiServer ?? { kind: "private" },
        kubernetesVersion: args.kubernetesVersion,
        logs: args.controlPlaneLogs ?? [],
        logRetentionDays: args.controlPlaneLogRetentionDays ?? LOG_RETENTION_DAYS_DEFAULT,
        admins: args.admins ?? {},
        deployer: args.deployer,
        deletionProtection: args.deletionProtection ?? false,
      },
      network,
      tags,
      this,
    );
  }

  #placeOf(clusterName: pulumi.Input<string>, clusterArn: pulumi.Input<string>, { kubernetesVersion }: Versioned) {
    return { clusterName: pulumi.output(clusterName), clusterArn: pulumi.output(clusterArn), kubernetesVersion };
  }

  #provider(
    name: string,
    clusterIdentifier: pulumi.Output<string>,
    kubeconfig: pulumi.Output<string>,
    dependsOn: readonly pulumi.Resource[],
  ): k8s.Provider {
    return new k8s.Provider(
      `${name}-kubernetes`,
      // identified by its ARN: another kubeconfig of the same cluster replaces nothing
      { kubeconfig, clusterIdentifier, enableServerSideApply: true },
      { parent: this, dependsOn: [...dependsOn] },
    );
  }
}

const LOG_RETENTION_DAYS_DEFAULT = 30;

type Versioned = { readonly kubernetesVersion: string };

/** Created or adopted, the same to all others. */
interface Cluster {
  readonly clusterName: pulumi.Output<string>;
  readonly clusterArn: pulumi.Output<string>;
  readonly kubeconfig: pulumi.Output<string>;
  readonly provider: k8s.Provider;
  readonly network: NetworkFacts;
  readonly nodeSecurityGroupId: pulumi.Output<string>;
  readonly nodeRoleArn: pulumi.Output<string>;
  readonly systemAutoScalingGroupName: pulumi.Output<string> | undefined;
  readonly systemNodes: SystemNodesShape | undefined;
  readonly systemArchitecture: Architecture;
}
