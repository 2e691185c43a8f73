/** A stack with all that there is: the one of infra/, and an API with every argument that declares something. */
import * as pulumi from "@pulumi/pulumi";
import { BatchApi, type BatchCluster } from "../../components/index.ts";
import { readConfig } from "../../infra/config.ts";
import { program } from "../../infra/program.ts";
import { aCluster } from "../components/support/a-cluster.ts";
import { render, type RenderedStack } from "../components/support/render.ts";

const SETTINGS = {
  "millrace:apiServerCidrs": JSON.stringify(["203.0.113.7/32"]),
  "millrace:gpuNodes": JSON.stringify({ instanceTypes: ["g6.xlarge"], nodesMax: 2 }),
  "millrace:reads": JSON.stringify(["s3://acme-files/2026/"]),
};

/** Some hundred resources: seconds, and more where others use the processors. */
export const WHOLE_STACK_MS = 60_000;

export function wholeStack(): Promise<RenderedStack> {
  return render(() => {
    pulumi.runtime.setAllConfig(SETTINGS);
    program(readConfig(new pulumi.Config("millrace")));
    openApi(aCluster({}, "second"));
  });
}

/** With keys, a balancer, secrets, rights of its own. */
function openApi(cluster: BatchCluster): BatchApi {
  return new BatchApi("open", {
    cluster,
    code: { kind: "deployed" },
    writes: ["s3://acme-labels/"],
    secrets: { TOKEN: "very secret" },
    permissions: [{ Effect: "Allow", Action: ["sns:Publish"], Resource: ["arn:aws:sns:eu-west-1:123456789012:done"] }],
    auth: { kind: "apiKeys", keys: [{ name: "pipeline", sha256: "a".repeat(64), scopes: ["submit"] }] },
    ingress: {
      kind: "loadBalancer",
      scheme: "internetFacing",
      certificateArn: "arn:aws:acm:eu-west-1:123456789012:certificate/c",
      cidrs: ["198.51.100.0/24"],
    },
  });
}
