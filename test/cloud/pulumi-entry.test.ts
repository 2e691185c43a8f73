/** The entry of `pulumi up` in the repository's root, under the engine and a Node that cannot read the program. */
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PulumiStack } from "./support/pulumi-engine.ts";
import { copyProject, type ProjectCopy } from "./support/pulumi-project.ts";
import { RecordingProvider } from "./support/pulumi-provider.ts";

const REPOSITORY = join(import.meta.dirname, "..", "..");

let project: ProjectCopy;
let provider: RecordingProvider;
let stack: PulumiStack;

beforeAll(async () => {
  project = await copyProject(REPOSITORY, ["Pulumi.yaml", "package.json", "infra"]);
  provider = await RecordingProvider.start();
  const node = join(project.folder, "node");
  await writeFile(node, `#!/bin/sh\nexec '${process.execPath}' --no-strip-types "$@"\n`);
  await chmod(node, 0o755);
  stack = await PulumiStack.create({ project: project.folder, provider, node });
});
afterAll(async () => {
  await stack.remove();
  provider.stop();
  await project.remove();
});

describe("pulumi up under a Node that reads no TypeScript", () => {
  it("fails with one sentence that names that Node and the way to a better one, and asks for nothing", async () => {
    const run = await stack.preview();

    expect(run.succeeded).toBe(false);
    expect(run.messages.filter((message) => message.startsWith("error: "))).toEqual([
      expect.stringMatching(/^error: Node [\d.]+ \(.*\) cannot run this stack's program, .* `npx -c 'pulumi up'`/),
    ]);
    expect(run.text).not.toContain("    at "); // no stack trace
    expect(provider.take()).toEqual([]);
  });
});
