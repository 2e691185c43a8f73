import { existsSync, readdirSync, readFileSync } from "node:fs";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { imageTag } from "../../components/images/image-sources.ts";
import { readImage } from "./support/image-archive.ts";
import { ensureImages, imageNames } from "./support/images.ts";
import { installPackage, type InstalledPackage } from "./support/installed-package.ts";
import { PulumiStack } from "./support/pulumi-engine.ts";
import { RecordingProvider } from "./support/pulumi-provider.ts";
import { changesOf, type EngineRun } from "./support/pulumi-steps.ts";

const REPOSITORY = join(import.meta.dirname, "..", "..");
const INSTALL_SECONDS = 600;
const IMAGES_SECONDS = 1_800;
const HANDLER = "class Handler:\n    def handle_batch(self, payload):\n        return payload\n";

let installed: InstalledPackage;

beforeAll(async () => {
  installed = await installPackage();
}, INSTALL_SECONDS * 1000);
afterAll(() => installed.remove());

/** The program of the README, as it stands there. */
function tenLines(): string {
  const page = readFileSync(join(REPOSITORY, "README.md"), "utf8");
  const program = /^#+ Ten lines\n[^#]*?```ts\n([^]*?)```/m.exec(page)?.[1];
  if (program === undefined) throw new Error('README.md has no "ts" block under a heading "Ten lines"');
  return program;
}

function filesUnder(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .filter((path) => !path.startsWith("node_modules/"));
}

describe("the package", () => {
  it("holds the compiled program, what images are built from, and nothing else", () => {
    const files = filesUnder(installed.root);
    const outside = files.filter((path) => !/^(dist|services)\//.test(path)).sort();
    const compiled = files.filter(
      (path) => path.startsWith("dist/") && !path.startsWith("dist/services/worker/python/"),
    );

    expect(outside).toEqual([".dockerignore", "LICENSE", "README.md", "bin/millrace.mjs", "package.json"]);
    expect(compiled.filter((path) => !/\.(js|d\.ts)$/.test(path))).toEqual(["dist/package.json"]);
    expect(files).toContain("dist/components/index.d.ts");
    expect(files).toContain("dist/services/worker/python/millrace_host/__main__.py");
    expect(files.filter((path) => path.includes("__pycache__"))).toEqual([]);
  });

  it("leaves the repository as it was, but for dist/", () => {
    expect(existsSync(join(installed.source, "services/package-lock.json"))).toBe(false);
    expect(existsSync(join(installed.source, "dist/package.json"))).toBe(true);
  });

  it("brings none of Pulumi's packages to a laptop, and runs a job there", async () => {
    await cp(join(REPOSITORY, "examples/word-count"), join(installed.project, "word-count"), { recursive: true });

    const job = await installed.run("node_modules/.bin/millrace", [
      "run",
      "word-count",
      "to be or not",
      "--as",
      "items",
    ]);

    expect(existsSync(join(installed.project, "node_modules/@pulumi"))).toBe(false);
    expect(job.stderr).toContain("succeeded: 1 of 1 item succeeded");
    expect(JSON.parse(job.stdout)).toMatchObject({ index: 0, result: { words: 4 } });
    expect(job.code).toBe(0);
  });
});

describe("the README's ten lines, written against the package", () => {
  beforeAll(async () => {
    await installed.linkPulumi();
    const project = { name: "image-classifier", handler: { type: "python", path: "handler.py" } };
    const files = {
      "index.ts": tenLines(),
      "Pulumi.yaml":
        "name: photos\nruntime: { name: nodejs, options: { typescript: false } }\nmain: index.ts # Node reads it as it is\n",
      "image-classifier/millrace.yaml": JSON.stringify(project),
      "image-classifier/handler.py": HANDLER,
    };
    await mkdir(join(installed.project, "image-classifier"));
    for (const [path, text] of Object.entries(files)) await writeFile(join(installed.project, path), text);
  });

  it("are of the types that the package declares", async () => {
    const compilerOptions = { strict: true, noEmit: true, target: "es2024", module: "nodenext", skipLibCheck: false };
    const tsc = join(REPOSITORY, "node_modules/typescript/bin/tsc");
    await writeFile(
      join(installed.project, "wrong.ts"),
      `import { GpuNodeGroup, type BatchCluster } from "millrace";
       declare const cluster: BatchCluster;
       // @ts-expect-error: a number is asked for, so a text must not pass
       new GpuNodeGroup("gpus", { cluster, instanceTypes: ["g6.xlarge"], nodesMax: "8" });`,
    );
    await writeFile(
      join(installed.project, "tsconfig.json"),
      JSON.stringify({ compilerOptions, files: ["index.ts", "wrong.ts"] }),
    );

    expect(await installed.run(process.execPath, [tsc, "--project", "."])).toMatchObject({ code: 0, stdout: "" });
  });

  it("are the same to a program that requires its packages", async () => {
    const names = "Object.keys(require('millrace')).filter((name) => name.startsWith('Batch')).sort().join()";

    expect(await installed.run(process.execPath, ["-p", names])).toMatchObject({
      code: 0,
      stdout: "BatchApi,BatchCluster,BatchStore\n",
    });
  });

  describe("through Pulumi's engine", () => {
    let provider: RecordingProvider;
    let stack: PulumiStack;
    let runs: Readonly<Record<"preview" | "up" | "again" | "destroy", EngineRun>>;
    let outputs: Readonly<Record<string, unknown>>;

    beforeAll(async () => {
      provider = await RecordingProvider.start();
      stack = await PulumiStack.create({
        project: installed.project,
        provider,
        config: { "aws:region": "eu-west-1" },
      });
      const [preview, up] = [await stack.preview(), await stack.up()];
      outputs = await stack.outputs();
      runs = { preview, up, again: await stack.preview(), destroy: await stack.destroy() };
    }, 600_000);
    afterAll(async () => {
      await stack.remove();
      provider.stop();
    });

    it("show before it what they then create", () => {
      expect(runs.preview.succeeded, runs.preview.text).toBe(true);
      expect(runs.up.succeeded, runs.up.text).toBe(true);
      expect(changesOf(runs.up)).toEqual(changesOf(runs.preview));
      expect(Object.keys(changesOf(runs.up))).toEqual(
        expect.arrayContaining([
          "BatchStore store",
          "BatchCluster batch",
          "GpuNodeGroup gpus",
          "BatchApi image-classifier",
        ]),
      );
    });

    it("tell how to reach the API, and change nothing when they run again", () => {
      expect(outputs).toMatchObject({
        connect: expect.stringContaining("millrace connect image-classifier") as string,
      });
      expect(changesOf(runs.again)).toEqual({});
    });

    it("are taken down again", () => {
      expect(runs.destroy.succeeded, runs.destroy.text).toBe(true);
    });
  });
});

describe("images built from the package", () => {
  it(
    "have, layer by layer, what those built from the repository have",
    { timeout: IMAGES_SECONDS * 1000 },
    async () => {
      const [own, packed] = [await ensureImages(installed.source), await ensureImages(installed.root)];

      for (const name of imageNames) {
        expect(packed[name].tag).not.toBe(own[name].tag); // it was built, and not found
        const [ours, theirs] = [await readImage(own[name].archive), await readImage(packed[name].archive)];
        expect(theirs).toEqual({ ...ours, tag: packed[name].tag });
      }
    },
  );

  it("are called as those of the repository are", async () => {
    const named = await readFile(join(installed.root, "package.json"), "utf8");

    expect(named).toBe(await readFile(join(installed.source, "package.json"), "utf8"));
    for (const program of ["service", "worker"] as const) {
      expect(imageTag(program, {}, installed.root)).toBe(imageTag(program, {}, installed.source));
    }
  });
});
