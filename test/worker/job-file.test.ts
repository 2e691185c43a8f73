import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeJobFile } from "../../services/worker/job-file.ts";
import { aJobSpec, anApiSpec, aVersion } from "../support/builders.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "job-file-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe("the job's file", () => {
  const spec = aJobSpec({ workers: 3, config: { model: { size: "l" } } });
  const version = aVersion({ spec: anApiSpec({ config: { model: { name: "m", size: "s" } } }) });
  const read = async () => JSON.parse(await readFile(join(folder, "spec", "job.json"), "utf8")) as object;

  it("holds the job and its whole config, and nothing else lies beside it", async () => {
    await writeJobFile(join(folder, "spec"), { spec, version, splitEnd: undefined });

    expect(await read()).toMatchObject({
      ...{ job_id: spec.job, api_name: spec.api, kind: "BatchAPI", workers: 3, timeout: null },
      config: { model: { name: "m", size: "l" } },
    });
    expect(await read()).not.toHaveProperty("total_batch_count");
    expect(await readdir(join(folder, "spec"))).toEqual(["job.json"]);
  });

  it("holds the number of batches when it is known", async () => {
    const splitEnd = { format: 1, complete: true, splits: 1, batches: 7, items: 70 } as const;

    await writeJobFile(join(folder, "spec"), { spec, version, splitEnd });

    expect(await read()).toMatchObject({ total_batch_count: 7 });
  });
});
