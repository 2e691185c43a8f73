import { describe, expect, it } from "vitest";
import { BatchStore } from "../../components/batch-store.ts";
import { render, UNKNOWN } from "./support/render.ts";

const BUCKET = "aws:s3/bucket:Bucket";
const LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration";
const ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration";

describe("BatchStore", () => {
  it("is a bucket that nobody reaches in public, and keeps no old versions", async () => {
    const stack = await render(() => {
      const store = new BatchStore("store", { tags: { team: "vision" } });
      return { bucket: store.bucketName, arn: store.bucketArn };
    });

    expect(stack.outputs).toEqual({ bucket: "store-bucket-1234567", arn: "arn:aws:s3:::store-bucket-1234567" });
    expect(stack.one(BUCKET).inputs).toEqual({
      forceDestroy: false,
      tags: { "millrace:component": "BatchStore", "millrace:name": "store", team: "vision" },
    });
    expect(stack.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock").inputs).toEqual({
      bucket: "store-bucket-1234567",
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    });
    expect(stack.one("aws:s3/bucketOwnershipControls:BucketOwnershipControls").inputs).toMatchObject({
      rule: { objectOwnership: "BucketOwnerEnforced" },
    });
    expect(stack.ofType("aws:s3/bucketVersioning:BucketVersioning")).toEqual([]);
  });

  it("refuses whoever comes without TLS", async () => {
    const stack = await render(() => new BatchStore("store"));

    const policy = JSON.parse(String(stack.one("aws:s3/bucketPolicy:BucketPolicy").inputs.policy)) as unknown;
    expect(policy).toMatchObject({
      Statement: [
        {
          ...{ Effect: "Deny", Principal: "*", Action: "s3:*" },
          Resource: ["arn:aws:s3:::store-bucket-1234567", "arn:aws:s3:::store-bucket-1234567/*"],
          Condition: { Bool: { "aws:SecureTransport": "false" } },
        },
      ],
    });
  });

  it("lets nothing expire but what interrupted uploads left", async () => {
    const stack = await render(() => new BatchStore("store"));

    expect(stack.one(LIFECYCLE).inputs.rules).toEqual([
      {
        ...{ id: "abort-interrupted-uploads", status: "Enabled", filter: {} },
        abortIncompleteMultipartUpload: { daysAfterInitiation: 1 },
      },
    ]);
  });

  it("is encrypted by S3's own keys, or by one that is given", async () => {
    const kmsKeyArn = "arn:aws:kms:eu-west-1:123456789012:key/k";

    const stack = await render(() => {
      new BatchStore("plain");
      const store = new BatchStore("keyed", { kmsKeyArn });
      return { key: store.kmsKeyArn };
    });

    expect(stack.one(ENCRYPTION, "plain-encryption").inputs.rules).toEqual([
      { applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" }, bucketKeyEnabled: false },
    ]);
    expect(stack.one(ENCRYPTION, "keyed-encryption").inputs.rules).toEqual([
      {
        applyServerSideEncryptionByDefault: { sseAlgorithm: "aws:kms", kmsMasterKeyId: kmsKeyArn },
        bucketKeyEnabled: true,
      },
    ]);
    expect(stack.outputs).toEqual({ key: kmsKeyArn });
  });

  it("changes nothing of a bucket that is there already, unless its lifecycle is given over", async () => {
    const stack = await render(() => {
      const store = new BatchStore("ours", { existing: { bucketName: "acme-batch" } });
      new BatchStore("theirs", { existing: { bucketName: "acme-versions", manageLifecycle: true } });
      return { bucket: store.bucketName, arn: store.bucketArn };
    });

    expect(stack.outputs).toEqual({ bucket: "acme-batch", arn: "arn:aws:s3:::acme-batch" });
    expect(stack.resources.filter(({ custom }) => custom).map(({ name }) => name)).toEqual(["theirs-lifecycle"]);
    expect(stack.one(LIFECYCLE).inputs).toMatchObject({
      bucket: "acme-versions",
      rules: [
        { abortIncompleteMultipartUpload: { daysAfterInitiation: 1 } },
        { filter: { prefix: "apis/" }, noncurrentVersionExpiration: { noncurrentDays: 1 } },
      ],
    });
  });

  it("is previewed without knowing the bucket's name", async () => {
    const stack = await render(() => ({ bucket: new BatchStore("store").bucketName }), { preview: true });

    expect(stack.outputs.bucket).toBe(UNKNOWN);
    expect(stack.one("aws:s3/bucketPolicy:BucketPolicy").inputs.policy).toBe(UNKNOWN);
  });

  it("puts every child under itself, several in one program too", async () => {
    const stack = await render(() => {
      new BatchStore("one");
      new BatchStore("two");
    });

    const [one, two] = ["one", "two"].map((name) => stack.one("millrace:index:BatchStore", name));
    const children = stack.resources.filter(({ custom }) => custom);
    expect(new Set(children.map(({ parent }) => parent))).toEqual(new Set([one?.urn, two?.urn]));
  });

  it.each([
    [
      { existing: { bucketName: "b-1" }, forceDestroy: true },
      'BatchStore "store": forceDestroy is for a bucket that is created here; leave it out beside `existing`',
    ],
    [
      { existing: { bucketName: "s3://acme/batch" } },
      'BatchStore "store": existing.bucketName is no name of a bucket; write the name alone, without s3:// or a path',
    ],
  ])("refuses %j", async (args, message) => {
    await expect(render(() => new BatchStore("store", args))).rejects.toThrow(message);
  });
});
