import { describe, expect, it } from "vitest";
import { S3Dataset } from "../../services/backends/dataset.s3.ts";
import { describeDataset } from "../contracts/dataset.contract.ts";
import { startFakeS3 } from "../support/fake-s3.ts";
import type { FakeS3 } from "../support/fake-s3.ts";

const credentials = { accessKeyId: "test", secretAccessKey: "test" };

function over(fake: FakeS3): S3Dataset {
  return new S3Dataset({ endpoint: fake.endpoint, region: "us-east-1", credentials });
}

describeDataset("S3", async () => {
  const fake = await startFakeS3();
  return {
    dataset: over(fake),
    uri: (path) => `s3://data/in/${path}`,
    write: (path, content) => Promise.resolve(void fake.objects.set(`in/${path}`, Buffer.from(content))),
    remove: (path) => Promise.resolve(void fake.objects.delete(`in/${path}`)),
    close: () => fake.close(),
  };
});

describe("S3's errors", () => {
  it.each([
    [403, "AccessDenied", "denied", "s3:GetObject on data/k"],
    [403, "InvalidObjectState", "archived", "restore it"],
    [412, "PreconditionFailed", "changed", "has changed"],
    [416, "InvalidRange", "changed", "has changed"],
    [404, "NoSuchBucket", "missing", "bucket"],
    [403, "ExpiredToken", "unreachable", "credentials"],
  ])("answer %i %s is the fault %s and says what to do", async (status, code, fault, says) => {
    const fake = await startFakeS3();
    fake.failWith = { status, code };

    await expect(over(fake).read("s3://data/k", { start: 0, end: 1 }, '"e"')).rejects.toMatchObject({
      fault,
      message: expect.stringContaining(says) as string,
    });
    await fake.close();
  });

  it("leaves out the markers of folders", async () => {
    const fake = await startFakeS3();
    fake.objects.set("in/", Buffer.alloc(0)).set("in/a", Buffer.from("1"));
    const found: string[] = [];
    for await (const page of over(fake).list("s3://data/in/")) found.push(...page.map(({ uri }) => uri));

    expect(found).toEqual(["s3://data/in/a"]);
    await fake.close();
  });
});
