/** Rights that a user writes down in `permissions`; what BatchApi writes itself is tested with `api-rights.ts`. */
import { describe, expect, it } from "vitest";
import { PodRole } from "../../components/pod-role.ts";
import { listDataset, readDataset, writeDataset, type Statement } from "../../components/statements.ts";
import { isAllowed, type PolicyDocument } from "./support/policy-simulator.ts";
import { render } from "./support/render.ts";

/** The policy of a role with these statements. */
async function policyOf(statements: () => readonly Statement[]): Promise<PolicyDocument> {
  const cluster = { clusterName: "batch", clusterArn: "arn:aws:eks:eu-west-1:123456789012:cluster/batch" };
  const stack = await render(() => {
    new PodRole("reports", { cluster, namespace: "reports", serviceAccount: "reports", statements: statements() });
  });
  return JSON.parse(String(stack.one("aws:iam/rolePolicy:RolePolicy").inputs["policy"])) as PolicyDocument;
}

const OBJECT = "arn:aws:s3:::acme-models/vision/v3.bin";
const listing = (prefix: string) => {
  return { action: "s3:ListBucket", resource: "arn:aws:s3:::acme-models", context: { "s3:prefix": prefix } };
};

describe("statements about datasets", () => {
  it("take URIs, and the partition of whoever deploys", async () => {
    const policy = await policyOf(() => [
      ...readDataset(["s3://acme-models/vision/"]),
      ...listDataset(["s3://acme-models/vision/", "s3://acme-models/text/"]),
    ]);

    expect(await isAllowed(policy, { action: "s3:GetObject", resource: OBJECT })).toBe(true);
    expect(await isAllowed(policy, { action: "s3:GetObject", resource: "arn:aws:s3:::acme-models/text/a" })).toBe(
      false,
    );
    expect(await isAllowed(policy, { action: "s3:PutObject", resource: OBJECT })).toBe(false);
    const listed = await Promise.all(
      ["vision/", "text/a", "", "vision"].map((each) => isAllowed(policy, listing(each))),
    );
    expect(listed).toEqual([true, true, false, false]);
  });

  it("let nobody read what he may write", async () => {
    const policy = await policyOf(() => writeDataset(["s3://acme-models/vision/"]));

    expect(await isAllowed(policy, { action: "s3:PutObject", resource: OBJECT })).toBe(true);
    expect(await isAllowed(policy, { action: "s3:GetObject", resource: OBJECT })).toBe(false);
    expect(await isAllowed(policy, { action: "s3:DeleteObject", resource: OBJECT })).toBe(false);
  });

  it("are refused for a URI that is none, by its place", async () => {
    await expect(policyOf(() => readDataset(["s3://acme-models/", "/models"]))).rejects.toThrow(
      'readDataset: locations[1] is "/models", which is not in S3; write s3://bucket/prefix/',
    );
  });
});
