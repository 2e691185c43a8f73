import { describe, expect, it } from "vitest";
import { S3Dataset } from "../../services/backends/dataset.s3.ts";
import { describeDataset, type DatasetFixture } from "../contracts/dataset.contract.ts";
import { startFakeS3 } from "../support/fake-s3.ts";
import type { FakeS3 } from "../support/fake-s3.ts";

const credentials = { accessKeyId: "test", secretAccessKey: "test" };

function over(fake: FakeS3): S3Dataset {
  return new S3Dataset({ endpoint: fake.endpoint, region: "us-east-1", credentials });
}

/** What XML 1.0 cannot hold, and what stands for it. */
const LOST = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffc}\u{10000}-\u{10ffff}]/u;

describeDataset("S3", () => aFixture(true));
describeDataset("S3 of a server that does not write keys for URLs", () => aFixture(false));

async function aFixture(urlEncodes: boolean): Promise<DatasetFixture> {
  const fake = await startFakeS3();
  fake.urlEncodes = urlEncodes;
  return {
    ...(urlEncodes ? {} : { lost: LOST }),
    dataset: over(fake),
    uri: (path) => `s3://data/in/${path}`,
    write: (path, content) => Promise.resolve(void fake.objects.set(`in/${path}`, Buffer.from(content))),
    remove: (path) => Promise.resolve(void fake.objects.delete(`in/${path}`)),
    close: () => fake.close(),
  };
}

describe("S3's keys", () => {
  /** No file has such a name. */
  const ONLY_KEYS = [
    ...["\n", " \n ", "\r\n", "..", ".", "a/../b", "a/./b", "./a", "../a", "/", "//", "/a", "a//b", "a/\n/b", "\u0000", "a\u0000b"],
    ...["a/b/", "é".repeat(512), "?list-type=2", "a?versionId=1", "&", "+", "%2e%2e/"],
  ]; // prettier-ignore

  it("of every kind are listed and read as they are, page by page", async () => {
    const fake = await startFakeS3();
    for (const key of ONLY_KEYS) fake.objects.set(key, Buffer.from(`content of ${key}`));
    const found: string[] = [];
    const dataset = over(fake);
    for await (const page of dataset.list("s3://data/")) {
      for (const { uri, etag, sizeBytes } of page) {
        found.push(uri);
        const bytes = await dataset.read(uri, { start: 0, end: sizeBytes }, etag);
        expect(`s3://data/${bytes.toString().slice("content of ".length)}`).toBe(uri);
      }
    }

    expect(found.sort()).toEqual(ONLY_KEYS.map((key) => `s3://data/${key}`).sort());
    await fake.close();
  });
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
