import { readFileSync } from "node:fs";
import { isAbsolute } from "node:path";
import { describe, expect, it } from "vitest";
import { RuntimeImage, type RuntimeImageArgs } from "../../components/runtime-image.ts";
import { render, UNKNOWN } from "./support/render.ts";

const IMAGE = "docker-build:index:Image";
const REPOSITORY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/worker-repository-1234567";

function rendered(args: RuntimeImageArgs, preview = false) {
  return render(() => ({ ref: new RuntimeImage("worker", args).ref }), { preview });
}

describe("RuntimeImage", () => {
  it("is built from this package's Dockerfile, pushed, and named by its digest", async () => {
    const stack = await rendered({ program: "worker" });

    const { inputs } = stack.one(IMAGE);
    const { location } = inputs.dockerfile as { location: string };
    expect(isAbsolute(location)).toBe(false); // another checkout would be another image
    expect(readFileSync(location, "utf8")).toContain("services/worker/main.ts");
    expect(inputs).toMatchObject({ push: true, buildOnPreview: false, platforms: ["linux/amd64"], buildArgs: {} });
    expect(inputs.tags).toEqual([expect.stringMatching(new RegExp(`^${REPOSITORY}:sources-[0-9a-f]{20}$`))]);
    expect(stack.outputs.ref).toBe(`${REPOSITORY}@sha256:${"c".repeat(64)}`);
  });

  it("keeps its tags but the cache's, scans, and lets only untagged images go", async () => {
    const stack = await rendered({ program: "service" });

    expect(stack.one("aws:ecr/repository:Repository").inputs).toMatchObject({
      imageTagMutability: "IMMUTABLE_WITH_EXCLUSION",
      imageTagMutabilityExclusionFilters: [{ filter: "cache", filterType: "WILDCARD" }],
      imageScanningConfiguration: { scanOnPush: true },
      encryptionConfigurations: [{ encryptionType: "AES256" }],
      forceDelete: false,
      tags: { "millrace:component": "RuntimeImage" },
    });
    const policy = String(stack.one("aws:ecr/lifecyclePolicy:LifecyclePolicy").inputs.policy);
    const { rules } = JSON.parse(policy) as { rules: readonly { selection: { tagStatus: string } }[] };
    expect(rules.map(({ selection }) => selection.tagStatus)).toEqual(["untagged"]);
  });

  it("gets another tag from another base, and the same from the same", async () => {
    const tags: unknown[] = [];
    for (const pythonImage of ["cuda@sha256:1", "cuda@sha256:2", "cuda@sha256:1"]) {
      const stack = await rendered({ program: "worker", pythonImage });
      expect(stack.one(IMAGE).inputs.buildArgs).toEqual({ PYTHON_IMAGE: pythonImage });
      tags.push(stack.one(IMAGE).inputs.tags);
    }

    expect(tags[0]).toEqual(tags[2]);
    expect(tags[0]).not.toEqual(tags[1]);
  });

  it("keeps the registry's password secret", async () => {
    const stack = await rendered({ program: "worker" });

    expect(stack.one(IMAGE).secrets).toEqual(["registries"]); // a secret inside a list makes the list one
  });

  it("is previewed without a builder", async () => {
    const stack = await rendered({ program: "worker", architecture: "arm64" }, true);

    expect(stack.outputs.ref).toBe(UNKNOWN);
    expect(stack.one(IMAGE).inputs).toMatchObject({ buildOnPreview: false, platforms: ["linux/arm64"] });
  });

  it("refuses a Python base for the service", async () => {
    await expect(rendered({ program: "service", pythonImage: "python:3.12" })).rejects.toThrow(
      'RuntimeImage "worker": pythonImage is for workers; the service runs no Python: leave it out',
    );
  });
});
