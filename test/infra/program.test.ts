import * as pulumi from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import { readConfig } from "../../infra/config.ts";
import { program } from "../../infra/program.ts";
import { render } from "../components/support/render.ts";
import { WHOLE_STACK_MS } from "./whole-stack.ts";

const CIDRS = JSON.stringify(["203.0.113.7/32"]);
const GPUS = JSON.stringify({ instanceTypes: ["g6.xlarge"], nodesMax: 2 });

/** The stack with these settings, as Pulumi hands them on: lists and objects as JSON. */
function stackOf(settings: Readonly<Record<string, string>>, options: { readonly preview?: boolean } = {}) {
  return render(() => {
    pulumi.runtime.setAllConfig(
      Object.fromEntries(Object.entries(settings).map(([key, value]) => [`millrace:${key}`, value])),
    );
    return program(readConfig(new pulumi.Config("millrace")));
  }, options);
}

describe("the stack in infra/", { timeout: WHOLE_STACK_MS }, () => {
  it("is a store, a cluster, CPU nodes and an API that names file types", async () => {
    const stack = await stackOf({ apiServerCidrs: CIDRS });

    const components = stack.resources.filter(({ parent }) => parent.split("::")[2] === "pulumi:pulumi:Stack");
    expect(components.map(({ type, name }) => `${type} ${name}`)).toEqual([
      "millrace:index:BatchStore store",
      "millrace:index:BatchCluster batch",
      "millrace:index:CpuNodeGroup cpus",
      "millrace:index:BatchApi file-types",
    ]);
    expect(stack.outputs).toEqual({
      bucket: "store-bucket-1234567",
      connect: "millrace connect file-types --namespace batch-file-types",
    });
  });

  it("keeps its store from a destroy, unless it is told not to", async () => {
    const kept = await stackOf({ apiServerCidrs: CIDRS });
    const tried = await stackOf({ apiServerCidrs: CIDRS, keep: "false" });

    expect(kept.one("aws:s3/bucket:Bucket")).toMatchObject({ protect: true, inputs: { forceDestroy: false } });
    expect(tried.one("aws:s3/bucket:Bucket")).toMatchObject({ protect: false, inputs: { forceDestroy: true } });
  });

  it("has an API on GPUs by setting", async () => {
    const stack = await stackOf({ apiServerCidrs: CIDRS, gpuNodes: GPUS, capacity: "spot" });

    expect(stack.outputs.connectGpu).toBe("millrace connect gpu-check --namespace batch-gpu-check");
    const [template] = stack
      .ofType("kubernetes:core/v1:PodTemplate")
      .filter(({ name }) => name.startsWith("gpu-check"));
    expect(template?.inputs).toMatchObject({
      template: { spec: { containers: [{ resources: { limits: { "nvidia.com/gpu": "1" } } }] } },
    });
  });

  it("can be previewed", async () => {
    const stack = await stackOf({ apiServerCidrs: CIDRS, gpuNodes: GPUS }, { preview: true });

    expect(stack.ofType("millrace:index:BatchApi")).toHaveLength(2);
  });

  it("tells all faults of its settings at once, as they are spelt there", async () => {
    const faulty = stackOf({
      natGateway: "1",
      zones: "1",
      capacity: "sport",
      keep: "maybe",
      cpuNodes: JSON.stringify({ instanceTypes: "c7i.xlarge", nodeMax: 3 }),
      reads: "s3://acme/",
    });

    await expect(faulty).rejects.toThrow(
      [
        "The settings of stack test have faults:",
        "  millrace:zones: found 1; write a whole number from 2 to 3.",
        '  millrace:apiServerCidrs: found nothing; write a list such as ["203.0.113.7/32"].',
        '  millrace:capacity: found "sport"; write spot instead.',
        '  millrace:cpuNodes.instanceTypes: found something that is no list of texts; write a list such as ["g6.xlarge"].',
        "  millrace:cpuNodes.nodeMax: found an unknown field; write nodesMax instead, or remove it.",
        '  millrace:keep: found "maybe"; write true or false.',
        '  millrace:reads: found something that is no list of texts; write a list such as ["s3://acme-files/2026/"].',
        "  millrace:natGateway: found an unknown field; write natGateways instead, or remove it.",
      ].join("\n"),
    );
  });
});
