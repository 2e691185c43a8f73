import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ECHO, SystemUnderTest } from "../support/a-system.ts";
import { startFakeS3, type FakeS3 } from "../support/fake-s3.ts";

let s3: FakeS3;
let system: SystemUnderTest;

beforeAll(async () => {
  s3 = await startFakeS3();
  const environment = {
    AWS_ENDPOINT_URL: s3.endpoint,
    AWS_REGION: "eu-central-1",
    AWS_ACCESS_KEY_ID: "somebody",
    AWS_SECRET_ACCESS_KEY: "secret",
  };
  system = await SystemUnderTest.start({ environment });
  expect((await system.deploy("echo", ECHO)).status).toBe(201);
});

afterEach(() => system.proveAll());
afterAll(async () => {
  await system.end();
  await s3.close();
});

describe("a dataset in S3", () => {
  it("is split by the service and read by the workers", async () => {
    for (const name of ["a", "b"]) s3.objects.set(`in/${name}.jsonl`, Buffer.from('{"n":1}\n{"n":2}\n{"n":3}\n'));

    const job = await system.run("echo", {
      workers: 1,
      delimited_files: { paths: ["s3://data/in/"], batch_size: 4 },
    });

    expect(job).toMatchObject({ state: "succeeded" });
    expect((await system.results(job)).map(({ result }) => (result as { n: number }).n)).toEqual([1, 2, 3, 1, 2, 3]);
  });

  it("is handed to the handler as addresses by a file lister", async () => {
    s3.objects.set("photos/1.jpg", Buffer.from("not really"));

    const job = await system.run("echo", {
      workers: 1,
      file_path_lister: { paths: ["s3://data/photos/"], batch_size: 4 },
    });

    expect((await system.results(job)).map(({ result }) => result)).toEqual(["s3://data/photos/1.jpg"]);
  });
});
