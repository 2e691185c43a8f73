import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { S3Dataset } from "../../services/backends/dataset.s3.ts";
import { realRandom } from "../../services/backends/clock.real.ts";
import { ReadWindow } from "../../services/backends/s3/ranged-read.ts";
import { S3Failure } from "../../services/backends/s3/s3-failure.ts";
import { RETRY_BUDGET } from "../../services/backends/s3/s3-retry.ts";
import { S3Logs } from "../../services/backends/s3/s3-logs.ts";
import { answer, anS3Store, next, S3_CREDENTIALS } from "../support/an-s3-store.ts";
import { startFakeS3, type FakeS3 } from "../support/fake-s3.ts";
import { HurriedClock } from "../support/hurried-clock.ts";

const MEBIBYTE = 1024 * 1024;
const KEY = "apis/words/jobs/1/spec.json";
let fake: FakeS3;

beforeEach(async () => {
  fake = await startFakeS3();
});
afterEach(() => fake.close());

describe("the store in S3 says in one sentence what is wrong, and the fix", () => {
  const x = Buffer.from("x");

  it.each([
    [403, "AccessDenied", "may not be written: grant this service s3:PutObject on data/apis/words/*"],
    [404, "NoSuchBucket", "names a bucket that does not exist; create data, or correct its name"],
    [403, "InvalidAccessKeyId", "the AWS credentials are wrong (InvalidAccessKeyId); correct them"],
    [400, "KeyTooLongError", "could not be written (KeyTooLongError, status 400)"],
  ])("to a write that S3 answers with %i %s", async (status, code, sentence) => {
    fake.failWith = { status, code };

    await expect(anS3Store(fake).store.put(KEY, x)).rejects.toThrow(sentence);
    expect(fake.seen).toHaveLength(1);
  });

  it("when the bucket is in another region: both are named", async () => {
    const headers = { "x-amz-bucket-region": "us-west-2" };
    fake.failWith = { status: 301, code: "PermanentRedirect", headers };

    await expect(anS3Store(fake).store.put(KEY, x)).rejects.toThrow(
      /is in us-west-2, and was asked for in eu-central-1; set AWS_REGION/,
    );
  });

  it("when an object was archived", async () => {
    fake.failWith = { status: 403, code: "InvalidObjectState" };

    await expect(anS3Store(fake).store.get(KEY)).rejects.toThrow("restore it, and leave the store's objects out of");
  });

  it("when it may not read, list or delete", async () => {
    fake.failWith = { status: 403, code: "AccessDenied" };
    const { store } = anS3Store(fake);

    const read = "s3:GetObject on data/apis/words/* and s3:ListBucket on data";
    await expect(store.get(KEY)).rejects.toThrow(read);
    await expect(store.size(KEY)).rejects.toThrow(read);
    await expect(store.list("apis/words/jobs/")).rejects.toThrow("s3:ListBucket on data with the prefix apis/words/*");
    await expect(store.delete(KEY)).rejects.toThrow("s3:DeleteObject on data/apis/words/*");
  });

  it("when S3 stays silent, or asks for fewer requests, until the budget is spent", async () => {
    const { store, clock } = anS3Store(fake);
    fake.failWith = { status: 503, code: "SlowDown" };
    await expect(store.put(KEY, x)).rejects.toThrow("S3 asks for fewer requests (SlowDown, status 503)");
    expect(fake.seen.length).toBeGreaterThan(5);
    expect(clock.monotonicMs()).toBeLessThan(70_000);
    await fake.close();

    await expect(store.get(KEY)).rejects.toThrow("could not be read (ECONNREFUSED)");
    fake = await startFakeS3();
  });

  it("and keeps nothing of what was signed in the error's cause", async () => {
    fake.failWith = { status: 403, code: "SignatureDoesNotMatch" };

    const error = await anS3Store(fake)
      .store.put(KEY, x)
      .catch((thrown: unknown) => thrown as Error);

    expect(Object.keys((error as Error).cause as object).sort()).toEqual(
      ["bucketRegion", "code", "kind", "kmsGrant", "name", "status"].sort(),
    );
  });
});

describe("credentials that expire", () => {
  const budget = { attemptsMax: 20, seconds: 1, credentialsSeconds: 120, firstCredentialsSeconds: 0 };

  it("are waited for and asked for anew, said once, and once when they work again", async () => {
    let asked = 0;
    const credentials = async () => ({ ...S3_CREDENTIALS, accessKeyId: `key${String(++asked)}` });
    const access = { endpoint: fake.endpoint, region: "eu-central-1", credentials };
    const { store, clock, said } = anS3Store(fake, { access, budget });
    await store.put("a", Buffer.from("x"));
    fake.failWith = { status: 400, code: "ExpiredToken" };
    const began = clock.monotonicMs();
    clock.duringSleep = () => {
      if (clock.monotonicMs() - began > 90_000) fake.failWith = undefined;
    };

    await Promise.all([store.put("b", Buffer.from("x")), store.size("a")]);

    expect(said).toEqual([expect.stringContaining("trying new ones"), "S3 takes the AWS credentials again"]);
    expect(asked).toBeGreaterThan(1);
    expect(fake.seen.at(-1)?.headers.authorization).not.toContain("key1/");
  });

  it("are given up when their budget is spent, which is longer than any other", async () => {
    const { store, clock } = anS3Store(fake, { budget });
    await store.put("a", Buffer.from("x"));
    fake.failWith = { status: 400, code: "ExpiredToken" };

    await expect(store.get("a")).rejects.toThrow("the AWS credentials are missing or have expired; renew them");
    expect(clock.monotonicMs()).toBeGreaterThan(120_000);
    expect(RETRY_BUDGET.credentialsSeconds).toBeGreaterThan(10 * RETRY_BUDGET.seconds);
  });
});

describe("reading from S3", () => {
  it("begins again when the answer is cut short", async () => {
    fake.objects.set("k", Buffer.alloc(MEBIBYTE, "0123456789"));
    fake.script.push(next("GET", "cuts the body"));

    expect((await anS3Store(fake).store.get("k"))?.bytes.equals(fake.objects.get("k") ?? Buffer.alloc(0))).toBe(true);
  });

  it("reads a large object in pieces of one version, and begins again when it changed on the way", async () => {
    const large = Buffer.alloc(18 * MEBIBYTE, "0123456789");
    fake.objects.set("k", large);
    fake.script.push(next("GET", answer(503, "SlowDown")));
    const { store } = anS3Store(fake);

    expect((await store.get("k"))?.bytes.equals(large)).toBe(true);
    expect(
      (await store.get("k", { start: 3, end: 10 * MEBIBYTE }))?.bytes.equals(large.subarray(3, 10 * MEBIBYTE)),
    ).toBe(true);
    const before = fake.seen.length;
    fake.script.push(next("GET", "loses the request"), next("GET", answer(412, "PreconditionFailed")));
    expect((await store.get("k"))?.bytes.equals(large)).toBe(true);
    expect(fake.seen.length - before).toBeGreaterThan(4);
  });

  it("fills the buffer of a dataset's reader from many ranges at once, all of one version", async () => {
    const large = Buffer.alloc(30 * MEBIBYTE, "0123456789");
    fake.objects.set("in", large);
    const dataset = aDataset();
    const [page] = [(await dataset.list("s3://data/in").next()).value];
    const etag = page?.[0]?.etag ?? "";
    const into = Buffer.alloc(large.length);

    const read = await dataset.read("s3://data/in", { start: 0, end: large.length }, etag, into);

    expect(read.buffer).toBe(into.buffer);
    expect(read.equals(large)).toBe(true);
    expect(fake.atOnceMax).toBeGreaterThan(1);
    expect(fake.seen.filter(({ headers }) => headers.range !== undefined)).toHaveLength(4);
    expect(fake.seen.at(-1)?.headers["if-match"]).toBe(etag);
  });

  it("of a dataset tries again after silence and half answers, and says when it changed", async () => {
    fake.objects.set("in", Buffer.from("0123456789"));
    const dataset = aDataset();
    const etag = (await dataset.list("s3://data/in").next()).value?.[0]?.etag ?? "";
    fake.script.push(
      next("GET", "loses the request"),
      next("GET", "cuts the body"),
      next("GET", answer(503, "SlowDown")),
    );

    expect((await dataset.read("s3://data/in", { start: 2, end: 5 }, etag)).toString()).toBe("234");
    await expect(dataset.read("s3://data/in", { start: 8, end: 12 }, etag)).rejects.toMatchObject({ fault: "changed" });
  });

  function aDataset(): S3Dataset {
    const random = { ...realRandom, fraction: () => 0.5 };
    const access = { endpoint: fake.endpoint, region: "us-east-1", credentials: S3_CREDENTIALS };
    return new S3Dataset({ ...access, clock: new HurriedClock(), random });
  }
});

describe("the window of reads", () => {
  it("is halved by each refusal and widens by one for each row of good answers, up to twelve", async () => {
    const window = new ReadWindow();
    for (let times = 0; times < 2; times++) window.failed(new S3Failure({ kind: "throttled", code: "SlowDown" }));
    expect(window.places).toBe(2);

    let atOnce = 0;
    let atOnceMax = 0;
    const read = async () => {
      atOnceMax = Math.max(atOnceMax, ++atOnce);
      await Promise.resolve();
      atOnce -= 1;
    };
    await Promise.all(Array.from({ length: 300 }, () => window.during(read)));

    expect(window.places).toBe(12);
    expect(atOnceMax).toBe(12);
  });
});

describe("the store's clock in S3", () => {
  it("comes from the answers, needs no request while they are fresh, and never goes back", async () => {
    const { store, clock } = anS3Store(fake);
    const first = await store.now();
    expect(Math.abs(first - Date.now())).toBeLessThan(10_000);

    clock.pass(20_000);
    expect((await store.now()) - first).toBe(20_000);
    expect(fake.seen).toHaveLength(1);
    clock.pass(11_000);
    // 31 seconds have passed here, and next to none at S3.
    expect(await store.now()).toBeGreaterThanOrEqual(first + 20_000);
    expect(fake.seen).toHaveLength(2);
  });
});

describe("counts of requests", () => {
  it("tell each as it went over the wire, retries too, with their bytes", async () => {
    const { store, counts } = anS3Store(fake);
    fake.script.push(next("PUT", "loses the answer"));
    await store.put("k", Buffer.from("12345"));
    await store.get("k");
    await store.list("");
    await store.delete("k");

    expect(counts).toMatchObject({ puts: 1, heads: 1, gets: 1, lists: 1, deletes: 1, failed: 1, sentBytes: 5 });
    expect(counts.receivedBytes).toBeGreaterThan(5);
  });
});

describe("open logs", () => {
  it("are kept up to a bound, and not when they are full", async () => {
    const stored = new Map<string, Buffer>();
    let reads = 0;
    const objects = {
      async write(key: string, bytes: Buffer) {
        stored.set(key, bytes);
        return { kind: "written", etag: String(bytes.length) } as const;
      },
      async read(key: string) {
        reads += 1;
        const bytes = stored.get(key);
        return bytes && { bytes, etag: String(bytes.length) };
      },
    };
    const logs = new S3Logs(objects, 4);
    for (let log = 0; log < 40; log++) await logs.append(`log-${String(log)}`, Buffer.alloc(3 * MEBIBYTE), 0);
    expect(logs.keptBytes).toBeLessThanOrEqual(64 * MEBIBYTE);

    await logs.append("log-0", Buffer.alloc(1), 3 * MEBIBYTE);
    expect(reads).toBe(1);
    for (let log = 20; log < 40; log++) await logs.append(`log-${String(log)}`, Buffer.alloc(MEBIBYTE), 3 * MEBIBYTE);
    expect(logs.keptBytes).toBeLessThanOrEqual(4 * MEBIBYTE);
    for (let appends = 0; appends < 4; appends++) await logs.append("short", Buffer.from("x"), appends);
    await logs.append("short", Buffer.from("x"), 4);
    expect(reads).toBe(2);
  });
});
