/** Every wrong argument of a BatchApi that we know of, and the sentence that it gets: `golden/batch-api-faults.txt`. */
import { join } from "node:path";
import { InputPropertyError, type InputPropertyErrorDetails, RunError } from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import { BatchApi } from "../../components/batch-api.ts";
import type { BatchApiArgs } from "../../components/batch-api-args.ts";
import type { BatchCluster } from "../../components/batch-cluster.ts";
import { CpuNodeGroup } from "../../components/cpu-node-group.ts";
import { Faults } from "../../components/faults.ts";
import { GpuNodeGroup } from "../../components/gpu-node-group.ts";
import { aCluster, EXISTING } from "./support/a-cluster.ts";
import { aProject } from "./support/a-project.ts";
import { render } from "./support/render.ts";

type Given = Partial<Omit<BatchApiArgs, "cluster">> & { readonly name?: string };
interface Around {
  readonly gpus: GpuNodeGroup;
  readonly cpus: CpuNodeGroup;
  readonly armCpus: CpuNodeGroup;
  readonly otherGpus: GpuNodeGroup;
}

const certificateArn = "arn:aws:acm:eu-west-1:123456789012:certificate/c";
const BALANCER = { kind: "loadBalancer", scheme: "internal", certificateArn, cidrs: ["10.1.0.0/16"] } as const;
const KEYS = { kind: "apiKeys", keys: [{ name: "ann", sha256: "a".repeat(64), scopes: ["read"] }] } as const;

/** What is wrong, in words, and the arguments that have it. */
const CASES: Readonly<Record<string, Given | ((around: Around) => Given)>> = {
  "a name of 43 characters": { name: "a".repeat(43) },
  "a name that is no DNS label": { name: "Image_Classifier" },
  "a name of the service's own addresses": { name: "health" },
  "an argument that there is not": { workerMax: 3 } as unknown as Given,
  "no workers": { workersMax: 0 },
  "a negative number of lanes": { concurrentJobsMax: -1 },
  "half a replica": { replicas: 0.5 },
  "no further API of those that may be made": { createApis: { namesMax: 0 } },
  "a retention that CloudWatch does not take": { logRetentionDays: 15 },
  "no day of retention": { retention: { resultsDays: 0 } },
  "a retention in words": { retention: { recordsDays: "never" } } as unknown as Given,
  "a misspelt retention": { retention: { resultDays: 3 } } as unknown as Given,
  "results that outlive their records": { retention: { resultsDays: "forever", recordsDays: 30 } },
  "memory beyond the node": ({ cpus }) => ({ runsOn: [cpus], compute: { memory: "64Gi" } }),
  "processors beyond the node": ({ cpus }) => ({ runsOn: [cpus], compute: { cpu: "16" } }),
  "GPUs of a CPU group": ({ cpus }) => ({ runsOn: [cpus], compute: { gpus: 1 } }),
  "more GPUs than a node has": ({ gpus }) => ({ runsOn: [gpus], compute: { gpus: 4 } }),
  "an amount of memory that is none": { compute: { memory: "4 GB" } },
  "an unknown amount": { compute: { mem: "4Gi" } } as unknown as Given,
  "two architectures": ({ cpus, armCpus }) => ({ runsOn: [cpus, armCpus], image: {} }),
  "nodes of another cluster": ({ otherGpus }) => ({ runsOn: [otherGpus] }),
  "a folder that there is not": { code: { kind: "project", path: "/nowhere/at/all" } },
  "a project without a spec": () => ({
    code: { kind: "project", path: aProject("words", { omit: ["millrace.yaml"] }) },
  }),
  "a project without its handler": () => ({
    code: { kind: "project", path: aProject("words", { omit: ["handler.py"] }) },
  }),
  "a project of another name": () => ({ code: { kind: "project", path: aProject("digits") } }),
  "a field that millrace.yaml does not have": () => ({
    code: { kind: "project", path: aProject("words", { spec: "batchsize: 4\n" }) },
  }),
  "overrides of deployed code": { code: { kind: "deployed" }, overrides: { workers: 2 } },
  "an override that there is not": { overrides: { batch_size: 3 } as unknown as NonNullable<Given["overrides"]> },
  "an image by tag": { image: { worker: "registry.example/worker:latest" } },
  "a location that is no URI": { reads: ["acme-photos/2026"] },
  "a location with a pattern": { writes: ["s3://acme-labels/*.json"] },
  "a variable of the service's own": { env: { MILLRACE_STORE: "s3://mine" } },
  "a variable twice": { env: { TOKEN: "a" }, secrets: { TOKEN: "b" } },
  "a balancer without auth": { ingress: BALANCER },
  "a balancer that nobody may call": { auth: KEYS, ingress: { ...BALANCER, cidrs: [] } },
  "a network that is none": { auth: KEYS, ingress: { ...BALANCER, cidrs: ["10.1.0.0"] } },
  "a balancer on the internet of a private network": { auth: KEYS, ingress: { ...BALANCER, scheme: "internetFacing" } },
  "network auth on an internet-facing balancer": {
    auth: { kind: "network", cidrs: ["198.51.100.0/24"] },
    ingress: { ...BALANCER, scheme: "internetFacing", cidrs: ["198.51.100.0/24"] },
  },
  "networks at the balancer that auth does not know": {
    auth: { kind: "network", cidrs: ["10.2.0.0/16"] },
    ingress: BALANCER,
  },
  "auth without keys": { auth: { kind: "apiKeys", keys: [] } },
  "a key in place of its hash": {
    auth: { kind: "apiKeys", keys: [{ name: "ann", sha256: "millrace_secret", scopes: ["read"] }] },
  },
  "an issuer without TLS": { auth: { kind: "jwt", issuer: "http://login.acme.example/", audience: "millrace" } },
  "everything at once": { name: "Words", workersMax: 0, env: { "1A": "x" }, ingress: BALANCER },
};

/** All in one program: whatever throws has declared nothing. */
async function faultsOfAll(): Promise<Readonly<Record<string, readonly string[]>>> {
  const path = aProject("words");
  const told: Record<string, readonly string[]> = {};
  const stack = await render(() => {
    const existing = { ...EXISTING, systemAutoScalingGroupName: "eks-services" };
    const cluster = aCluster({ kubernetesVersion: "1.35", existing });
    const groups = groupsOf(cluster);
    for (const [what, given] of Object.entries(CASES)) {
      const { name = "words", ...own } = typeof given === "function" ? given(groups) : given;
      told[what] = faultsOf(() => new BatchApi(name, { cluster, code: { kind: "project", path }, ...own }));
    }
  });
  expect(stack.ofType("millrace:index:BatchApi")).toEqual([]);
  return told;
}

function faultsOf(declare: () => unknown): readonly string[] {
  try {
    declare();
  } catch (thrown) {
    const { errors } = thrown as { readonly errors?: readonly InputPropertyErrorDetails[] };
    const details = errors ?? [thrown as InputPropertyErrorDetails];
    const paths = /\/tmp\/[\w-]+/g;
    return details.map(({ propertyPath, reason }) => `${propertyPath}\n    ${reason.replaceAll(paths, "PROJECT")}`);
  }
  return ["(nothing: it is accepted)"];
}

function groupsOf(cluster: BatchCluster): Around {
  const other = aCluster({ kubernetesVersion: "1.35", existing: EXISTING }, "other");
  return {
    gpus: new GpuNodeGroup("gpus", { cluster, instanceTypes: ["g6.xlarge"], nodesMax: 2 }),
    cpus: new CpuNodeGroup("cpus", { cluster, instanceTypes: ["c7i.xlarge"], nodesMax: 2 }),
    armCpus: new CpuNodeGroup("arm-cpus", { cluster, instanceTypes: ["c7g.xlarge"], nodesMax: 2 }),
    otherGpus: new GpuNodeGroup("other-gpus", { cluster: other, instanceTypes: ["g6.xlarge"], nodesMax: 2 }),
  };
}

describe("wrong arguments of a BatchApi", () => {
  it("get a sentence each that names the property and the fix, and declare nothing", async () => {
    const faults = await faultsOfAll();

    const told = Object.entries(faults).map(
      ([what, each]) => `${what}:\n${each.map((fault) => `  ${fault}`).join("\n")}\n`,
    );
    await expect(told.join("\n")).toMatchFileSnapshot(join(import.meta.dirname, "golden/batch-api-faults.txt"));
    expect(told.filter((each) => each.includes("(nothing"))).toEqual([]);
  });

  it("are printed as sentences, without a stack, by the program that Pulumi runs", () => {
    const faults = new Faults("BatchApi");
    faults.add("reads", "is wrong");

    expect(() => {
      faults.throwIfAny();
    }).toThrow(expect.toSatisfy((error) => RunError.isInstance(error) && InputPropertyError.isInstance(error)));
  });

  it("are told of names that two APIs of a store have", async () => {
    const [one, two] = [aProject("words"), aProject("words")];
    const twice = render(() => {
      const cluster = aCluster({ kubernetesVersion: "1.35", existing: EXISTING });
      new BatchApi("words", { cluster, code: { kind: "project", path: one } });
      new BatchApi("words", { cluster, code: { kind: "project", path: two } });
    });

    await expect(twice).rejects.toThrow(
      'BatchApi "words": name is "words", which another API of this store has; choose another',
    );
  });
});
