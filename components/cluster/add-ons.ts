/** The parts of EKS that a cluster is not complete without, as add-ons that EKS keeps fit for the cluster's version. */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { PodRole } from "../pod-role.ts";
import type { Tags } from "../tags.ts";

export interface AddOnsPlace {
  readonly clusterName: pulumi.Input<string>;
  readonly clusterArn: pulumi.Input<string>;
  readonly kubernetesVersion: string;
}

type AddOnName = "eks-pod-identity-agent" | "vpc-cni" | "kube-proxy" | "coredns" | "eks-node-monitoring-agent";

/** The add-ons of a cluster. What nodes need to become ready comes before them; what needs nodes to run on comes after. */
export class AddOns {
  readonly #name: string;
  readonly #place: AddOnsPlace;
  readonly #tags: Tags;
  readonly #parent: pulumi.Resource;

  constructor(name: string, place: AddOnsPlace, tags: Tags, parent: pulumi.Resource) {
    [this.#name, this.#place, this.#tags, this.#parent] = [name, place, tags, parent];
  }

  /** Network with its rights, proxy, and the agent that hands out roles. As DaemonSets they are complete without a node. */
  beforeNodes(): readonly pulumi.Resource[] {
    const agent = this.podIdentityAgent();
    const rights = this.#networkRights();
    const network = this.#addOn("vpc-cni", { enableNetworkPolicy: "true" }, [agent, ...rights]);
    // the rights too: a network plugin that starts without them never gets its node ready
    return [agent, ...rights, network, this.#addOn("kube-proxy", {}, [])];
  }

  /** Names, and who tells a broken GPU. EKS calls an add-on broken while its pods find no node. */
  afterNodes(nodes: pulumi.Resource, nodesMin: number): readonly pulumi.Resource[] {
    // two on one node guard against nothing, and take a pod's place
    const replicas = nodesMin === 1 ? { replicaCount: 1 } : {};
    return [this.#addOn("coredns", replicas, [nodes]), this.#addOn("eks-node-monitoring-agent", {}, [nodes])];
  }

  podIdentityAgent(): aws.eks.Addon {
    return this.#addOn("eks-pod-identity-agent", {}, []);
  }

  /** The network plugin's own role: nodes need no right to make network interfaces then, and no pod gets it from a node. */
  #networkRights(): readonly pulumi.Resource[] {
    const { clusterName, clusterArn } = this.#place;
    const pods = { namespace: "kube-system", serviceAccount: "aws-node" };
    const role = new PodRole(
      `${this.#name}-network`,
      { cluster: { clusterName, clusterArn }, ...pods, statements: [], tags: this.#tags },
      { parent: this.#parent },
    );
    const { partition } = aws.getPartitionOutput({}, { parent: this.#parent });
    // AWS's own policy: it follows the plugin's versions
    const policyArn = pulumi.interpolate`arn:${partition}:iam::aws:policy/AmazonEKS_CNI_Policy`;
    const attached = { role: role.roleName, policyArn };
    return [role, new aws.iam.RolePolicyAttachment(`${this.#name}-network-rights`, attached, { parent: this.#parent })];
  }

  #addOn(
    addonName: AddOnName,
    configuration: Readonly<Record<string, string | number>>,
    dependsOn: readonly pulumi.Resource[],
  ): aws.eks.Addon {
    const { clusterName, kubernetesVersion } = this.#place;
    const asked = { addonName, kubernetesVersion };
    return new aws.eks.Addon(
      `${this.#name}-${addonName}`,
      {
        ...{ clusterName, addonName },
        // EKS's recommendation for this Kubernetes: without it, an add-on would stay as it is when the cluster is upgraded
        addonVersion: aws.eks.getAddonVersionOutput(asked, { parent: this.#parent }).version,
        ...(Object.keys(configuration).length > 0 && { configurationValues: JSON.stringify(configuration) }),
        ...{ resolveConflictsOnCreate: "OVERWRITE", resolveConflictsOnUpdate: "OVERWRITE" },
        tags: this.#tags,
      },
      { parent: this.#parent, dependsOn: [...dependsOn] },
    );
  }
}
