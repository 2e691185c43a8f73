import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { AUTOSCALER_TAGS } from "../../../components/cluster/autoscaler.ts";
import { GpuNodeGroup } from "../../../components/gpu-node-group.ts";
import { aCluster as aClusterOf, EXISTING } from "../support/a-cluster.ts";
import { render, type RenderedStack } from "../support/render.ts";

const DEPLOYMENT = "kubernetes:apps/v1:Deployment";

/** Of a cluster that is there already: it is declared alike in one that is made, and little else is rendered. */
function aCluster(more: { readonly kubernetesVersion?: string; readonly autoscalerImage?: string } = {}) {
  return aClusterOf({ existing: { ...EXISTING, autoscaler: "install" }, kubernetesVersion: "1.35", ...more });
}

interface Container {
  readonly image: string;
  readonly command: readonly string[];
  readonly [field: string]: unknown;
}

function podOf(stack: RenderedStack): { readonly containers: readonly [Container]; readonly [field: string]: unknown } {
  const { spec } = stack.one(DEPLOYMENT).inputs as { spec: { template: { spec: unknown } } };
  return spec.template.spec as ReturnType<typeof podOf>;
}

describe("the autoscaler", () => {
  it.each(Object.entries(AUTOSCALER_TAGS))(
    "is of Kubernetes %s's minor version: %s",
    async (kubernetesVersion, tag) => {
      const stack = await render(() => aCluster({ kubernetesVersion }));

      expect(podOf(stack).containers[0].image).toBe(`registry.k8s.io/autoscaling/cluster-autoscaler:${tag}`);
      expect(tag.startsWith(`v${kubernetesVersion}.`)).toBe(true);
    },
  );

  it("may come from another registry", async () => {
    const autoscalerImage = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/cluster-autoscaler:v1.37.0";

    const stack = await render(() => aCluster({ kubernetesVersion: "1.37", autoscalerImage }));

    expect(podOf(stack).containers[0].image).toBe(autoscalerImage);
  });

  it("finds this cluster's groups, and lets an idle node go after five minutes", async () => {
    const stack = await render(() => aCluster());

    const cluster = "k8s.io/cluster-autoscaler/acme";
    expect(podOf(stack).containers[0].command).toEqual([
      "./cluster-autoscaler",
      "--cloud-provider=aws",
      `--node-group-auto-discovery=asg:tag=k8s.io/cluster-autoscaler/enabled,${cluster}`,
      "--expander=priority,least-waste",
      "--scale-down-unneeded-time=5m",
      "--max-node-provision-time=15m",
      "--skip-nodes-with-system-pods=false",
      "--skip-nodes-with-local-storage=false",
      "--ignore-daemonsets-utilization",
      "--stderrthreshold=info",
      "--v=2",
    ]);
  });

  it("prefers groups by the priority in their names, the lowest being everybody's", async () => {
    const stack = await render(() => {
      const cluster = aCluster();
      for (const priority of [1, 2, 9]) {
        const types = { instanceTypes: ["g6.xlarge"], nodesMax: 1 };
        new GpuNodeGroup(`gpus-${String(priority)}`, { cluster, ...types, priority });
      }
    });

    const { metadata, data } = stack.one("kubernetes:core/v1:ConfigMap").inputs as {
      metadata: { name: string; namespace: string };
      data: { priorities: string };
    };
    expect(metadata).toMatchObject({ name: "cluster-autoscaler-priority-expander", namespace: "kube-system" });
    const levels = Object.entries(parse(data.priorities) as Record<string, readonly [string]>);
    const priorityOf = (name: string) => {
      const matching = levels.filter(([, [pattern]]) => new RegExp(pattern).test(name));
      return Math.max(...matching.map(([level]) => Number(level)));
    };
    const groups = stack.ofType("aws:eks/nodeGroup:NodeGroup");
    // as EKS names the Auto Scaling group of a node group
    const named = groups.map(({ name }) => [
      name,
      priorityOf(`eks-${name}-1234567-0acc2a4f-1a2b-3c4d-5e6f-7a8b9c0d1e2f`),
    ]);
    expect(Object.fromEntries(named)).toEqual({ "gpus-1-nodes": 1, "gpus-2-priority-2": 2, "gpus-9-priority-9": 9 });
    expect(priorityOf("eks-somebody-elses-0acc2a4f")).toBe(1);
  });

  it("runs as one replica that may do nothing on its node", async () => {
    const stack = await render(() => aCluster());

    expect(stack.one(DEPLOYMENT).inputs.spec).toMatchObject({ replicas: 1 });
    const pod = podOf(stack);
    expect(pod).toMatchObject({
      serviceAccountName: "cluster-autoscaler",
      priorityClassName: "system-cluster-critical",
      securityContext: { runAsNonRoot: true, runAsUser: 65534, seccompProfile: { type: "RuntimeDefault" } },
    });
    expect(pod.containers[0]).toMatchObject({
      env: [{ name: "AWS_REGION", value: "eu-west-1" }],
      livenessProbe: { httpGet: { path: "/health-check", port: 8085 } },
      readinessProbe: { httpGet: { path: "/health-check", port: 8085 } },
      resources: { requests: { cpu: "50m", memory: "200Mi" }, limits: { memory: "600Mi" } },
      securityContext: {
        ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true },
        capabilities: { drop: ["ALL"] },
      },
    });
  });

  it("begins after its rights: credentials are handed to a pod when it is made", async () => {
    const stack = await render(() => aCluster());

    const deployment = stack.one(DEPLOYMENT);
    for (const name of ["batch-autoscaler-association", "batch-autoscaler-policy", "batch-autoscaler-own"]) {
      expect(deployment.dependsOn, name).toContain(stack.named(name)?.urn);
    }
    expect(deployment.provider).toContain("batch-kubernetes");
  });

  it("may describe all, and scale the groups of its own cluster alone", async () => {
    const stack = await render(() => aCluster());

    const { policy } = stack.one("aws:iam/rolePolicy:RolePolicy", "batch-autoscaler-policy").inputs;
    expect(JSON.parse(String(policy))).toEqual({
      Version: "2012-10-17",
      Statement: [
        {
          ...{ Sid: "DescribeHasNoResources", Effect: "Allow", Resource: "*" },
          Action: [
            "autoscaling:DescribeAutoScalingGroups",
            "autoscaling:DescribeAutoScalingInstances",
            "autoscaling:DescribeLaunchConfigurations",
            "autoscaling:DescribeScalingActivities",
            "autoscaling:DescribeTags",
            "ec2:DescribeImages",
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeLaunchTemplateVersions",
            "ec2:GetInstanceTypesFromInstanceRequirements",
          ],
        },
        {
          ...{ Sid: "DescribeEmptyGroups", Effect: "Allow", Action: "eks:DescribeNodegroup" },
          Resource: "arn:aws:eks:eu-west-1:123456789012:nodegroup/acme/*",
        },
        {
          ...{ Sid: "ScaleOwnGroups", Effect: "Allow" },
          Action: ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"],
          Resource: "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/*",
          Condition: { StringEquals: { "aws:ResourceTag/k8s.io/cluster-autoscaler/acme": "owned" } },
        },
      ],
    });
  });

  it("may watch in Kubernetes what it waits for before it scales, and change little", async () => {
    const stack = await render(() => aCluster());

    const { rules } = stack.one("kubernetes:rbac.authorization.k8s.io/v1:ClusterRole").inputs as {
      rules: readonly { readonly resources: readonly string[]; readonly verbs: readonly string[] }[];
    };
    const listed = rules.filter(({ verbs }) => verbs.includes("list")).flatMap(({ resources }) => resources);
    // each of these is an informer of its releases 1.33 to 1.36: it never starts when one is denied
    expect(listed).toEqual(
      expect.arrayContaining([
        ...["nodes", "pods", "namespaces", "services", "replicationcontrollers", "persistentvolumes"],
        ...["persistentvolumeclaims", "poddisruptionbudgets", "statefulsets", "replicasets", "daemonsets", "jobs"],
        ...["storageclasses", "csinodes", "csidrivers", "csistoragecapacities", "volumeattachments"],
        ...["deviceclasses", "resourceclaims", "resourceslices"],
      ]),
    );
    const changing = rules.filter(({ verbs }) => verbs.some((verb) => !["get", "list", "watch"].includes(verb)));
    expect(changing.map(({ resources, verbs }) => `${resources.join()}: ${verbs.join()}`)).toEqual([
      "events,endpoints: create,patch",
      "pods/eviction: create",
      "pods/status: update",
      "endpoints: get,update",
      "nodes: get,list,watch,update",
      "jobs: patch",
      "leases: create",
      "leases: get,update",
    ]);
    expect(JSON.stringify(rules)).not.toContain('"*"');
  });
});
