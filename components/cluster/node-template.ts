/** How each node of ours is launched: encrypted disks, metadata for the node alone, tags on all that it brings. */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Architecture } from "../instance-shape.ts";
import type { Tags } from "../tags.ts";

/** Label by which workers choose their group. */
export const NODE_GROUP_LABEL = "millrace/node-group";

interface AmiFacts {
  readonly architecture: Architecture;
  /** With NVIDIA's drivers. */
  readonly gpus: boolean;
  /** Bottlerocket keeps images and pods' files on a second disk, and its own system on a first, small one. */
  readonly dataDevice: "/dev/xvda" | "/dev/xvdb";
}

const bottlerocket = { dataDevice: "/dev/xvdb" } as const;
const amazonLinux = { dataDevice: "/dev/xvda" } as const;

/** Kinds of images that managed node groups start from: https://docs.aws.amazon.com/eks/latest/APIReference/API_Nodegroup.html */
export const AMI_TYPES: Readonly<Record<string, AmiFacts>> = {
  BOTTLEROCKET_x86_64: { architecture: "amd64", gpus: false, ...bottlerocket },
  BOTTLEROCKET_ARM_64: { architecture: "arm64", gpus: false, ...bottlerocket },
  BOTTLEROCKET_x86_64_FIPS: { architecture: "amd64", gpus: false, ...bottlerocket },
  BOTTLEROCKET_ARM_64_FIPS: { architecture: "arm64", gpus: false, ...bottlerocket },
  BOTTLEROCKET_x86_64_NVIDIA: { architecture: "amd64", gpus: true, ...bottlerocket },
  BOTTLEROCKET_ARM_64_NVIDIA: { architecture: "arm64", gpus: true, ...bottlerocket },
  AL2023_x86_64_STANDARD: { architecture: "amd64", gpus: false, ...amazonLinux },
  AL2023_ARM_64_STANDARD: { architecture: "arm64", gpus: false, ...amazonLinux },
  AL2023_x86_64_NVIDIA: { architecture: "amd64", gpus: true, ...amazonLinux },
  AL2023_ARM_64_NVIDIA: { architecture: "arm64", gpus: true, ...amazonLinux },
};

/** Bottlerocket: small, read-only, and its NVIDIA images bring the device plugin, so nothing needs to be installed on a node. */
export function defaultAmiType(architecture: Architecture, gpus: boolean): string {
  const plain = architecture === "arm64" ? "BOTTLEROCKET_ARM_64" : "BOTTLEROCKET_x86_64";
  return gpus ? `${plain}_NVIDIA` : plain;
}

interface NodeTemplate {
  readonly amiType: string;
  readonly diskGiB: number;
  readonly securityGroupId: pulumi.Input<string>;
  /** Also of instances, their disks and network interfaces: EKS passes a node group's tags on to none of them. */
  readonly tags: Tags;
}

/** What a node group refers to. A change makes a new version, and EKS replaces the nodes one after the other. */
export function nodeTemplate(
  name: string,
  { amiType, diskGiB, securityGroupId, tags }: NodeTemplate,
  parent: pulumi.Resource,
): { readonly id: pulumi.Output<string>; readonly version: pulumi.Output<string> } {
  const encrypted = { encrypted: "true", volumeType: "gp3", deleteOnTermination: "true" };
  const dataDevice = AMI_TYPES[amiType]?.dataDevice ?? "/dev/xvda";
  const system = dataDevice === "/dev/xvda" ? [] : [{ deviceName: "/dev/xvda", ebs: encrypted }];
  const template = new aws.ec2.LaunchTemplate(
    `${name}-template`,
    {
      blockDeviceMappings: [...system, { deviceName: dataDevice, ebs: { ...encrypted, volumeSize: diskGiB } }],
      // one hop: what runs in pods never reaches the node's credentials. Rights come by Pod Identity
      metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
      vpcSecurityGroupIds: [securityGroupId],
      tagSpecifications: ["instance", "volume", "network-interface"].map((resourceType) => ({
        resourceType,
        tags: { Name: name, ...tags },
      })),
      updateDefaultVersion: true,
      tags,
    },
    { parent },
  );
  return { id: template.id, version: pulumi.interpolate`${template.latestVersion}` };
}

/** EKS makes one Auto Scaling group for each managed node group. */
export function autoScalingGroupNameOf(nodes: aws.eks.NodeGroup): pulumi.Output<string> {
  return nodes.resources.apply(([made]) => made?.autoscalingGroups[0]?.name ?? "");
}
