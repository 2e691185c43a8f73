/** The whole of `infra/` through Pulumi's real engine, as `pulumi up` in the repository's root runs it. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { PulumiStack } from "./support/pulumi-engine.ts";
import { copyProject, type ProjectCopy } from "./support/pulumi-project.ts";
import { RecordingProvider, type Recorded } from "./support/pulumi-provider.ts";
import { changesOf, type EngineRun } from "./support/pulumi-steps.ts";
import { UNKNOWN } from "./support/pulumi-values.ts";

const REPOSITORY = join(import.meta.dirname, "..", "..");
/** What `pulumi up` reads of the repository; images are built from the rest of it. */
const PARTS = ["Pulumi.yaml", "package.json", "package-lock.json", "infra", "components", "services", "examples"];
const LIFE_SECONDS = 900;
const OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2";

interface Acted {
  readonly run: EngineRun;
  readonly recorded: readonly Recorded[];
}

let project: ProjectCopy;
let provider: RecordingProvider;
let stack: PulumiStack;
let example: Readonly<Record<string, unknown>>;

beforeAll(async () => {
  project = await copyProject(REPOSITORY, PARTS);
  provider = await RecordingProvider.start();
  const settings = parse(await readFile(join(REPOSITORY, "Pulumi.dev.yaml"), "utf8")) as { config: typeof example };
  example = { ...settings.config, "millrace:gpuNodes": { instanceTypes: ["g6.xlarge"], nodesMax: 2 } };
  stack = await PulumiStack.create({ project: project.folder, provider, config: example });
});
afterAll(async () => {
  await stack.remove();
  provider.stop();
  await project.remove();
});

async function acted(running: Promise<EngineRun>): Promise<Acted> {
  const run = await running;
  return { run, recorded: provider.take() };
}

async function edit(path: string, from: string, to: string): Promise<void> {
  const file = join(project.folder, path);
  const text = await readFile(file, "utf8");
  expect(text).toContain(from);
  await writeFile(file, text.replace(from, to));
}

function of(recorded: readonly Recorded[], act: Recorded["act"]): readonly Recorded[] {
  return recorded.filter((one) => one.act === act);
}

/** Keys of the objects in the store, as they were asked for. */
function keysOf(recorded: readonly Recorded[], act: Recorded["act"]): readonly unknown[] {
  return of(recorded, act).flatMap(({ type, inputs }) => (type === OBJECT ? [inputs["key"]] : []));
}

describe("settings of a stack that are wrong", () => {
  it("are all told by a preview, which asks for nothing", async () => {
    await stack.configure({
      "aws:region": "eu-west-1",
      "millrace:apiServerCidrs": "everywhere",
      "millrace:capacity": "cheap",
      "millrace:cpuNode": {},
    });

    const { run, recorded } = await acted(stack.preview());

    expect(run.succeeded).toBe(false);
    const said = run.messages.join("\n");
    for (const name of ["millrace:apiServerCidrs", "millrace:capacity", "millrace:cpuNode"])
      expect(said).toContain(name);
    expect(recorded).toEqual([]);
    await stack.configure(example);
  });
});

interface Checkpoint {
  readonly checkpoint: {
    readonly latest: { readonly resources: readonly { readonly type: string; readonly inputs?: object }[] };
  };
}

type Moment =
  | ("preview" | "up" | "refresh" | "again" | "computePreview" | "compute")
  | ("codePreview" | "code" | "protect" | "refused" | "destroy");

describe("the stack's whole life on the real engine", () => {
  let life: Readonly<Record<Moment, Acted>>;
  let stateAfterUp: string;
  let outputs: Readonly<Record<string, unknown>>;

  beforeAll(async () => {
    const done: Partial<Record<Moment, Acted>> = {};
    const act = async (name: Moment, running: Promise<EngineRun>, succeeds = true) => {
      const one = await acted(running);
      expect(one.run.succeeded, `${name}\n${one.run.text}`).toBe(succeeds);
      done[name] = one;
    };
    await act("preview", stack.preview());
    await act("up", stack.up());
    [stateAfterUp, outputs] = [await stack.stateText(), await stack.outputs()];
    await act("refresh", stack.refresh());
    await act("again", stack.preview());
    await edit("infra/program.ts", 'memory: "2Gi"', 'memory: "3Gi"');
    await act("computePreview", stack.preview());
    await act("compute", stack.up());
    await edit("examples/file-types/millrace.yaml", "name:", "# another text, another archive\nname:");
    await act("codePreview", stack.preview());
    await act("code", stack.up());
    await stack.configure({ ...example, "millrace:keep": true });
    await act("protect", stack.up());
    await act("refused", stack.destroy(), false);
    await stack.configure({ ...example, "millrace:keep": false });
    await stack.up();
    provider.take();
    await act("destroy", stack.destroy());
    life = done as typeof life;
  }, LIFE_SECONDS * 1000);

  it("previews what does not exist as created, and makes nothing", () => {
    const changes = Object.values(changesOf(life.preview.run));

    expect(new Set(changes)).toEqual(new Set(["create"]));
    expect(life.preview.recorded.filter(({ act, preview }) => act !== "invoke" && !preview)).toEqual([]);
    expect(JSON.stringify(life.preview.recorded)).toContain(UNKNOWN);
  });

  it("makes each resource once, with inputs that are all known", () => {
    const made = of(life.up.recorded, "create").map(({ type, name }) => `${type} ${name}`);

    expect(made.length).toBe(new Set(made).size);
    expect(made.length).toBeGreaterThan(100);
    expect(JSON.stringify(life.up.recorded)).not.toContain(UNKNOWN);
  });

  it("keeps what opens doors encrypted in its state", () => {
    const state = JSON.parse(stateAfterUp) as Checkpoint;
    const clusters = state.checkpoint.latest.resources.filter(({ type }) => type === "pulumi:providers:kubernetes");

    expect(clusters).toHaveLength(1);
    for (const { inputs } of clusters) expect(inputs).toHaveProperty("kubeconfig.ciphertext");
    expect(of(life.up.recorded, "create").map(({ inputs }) => JSON.stringify(inputs))).toContainEqual(
      expect.stringContaining("registry-password"),
    );
    expect(stateAfterUp).not.toContain("registry-password");
  });

  it("says how its APIs are reached", () => {
    expect(outputs).toMatchObject({
      connect: expect.stringMatching(/^millrace connect file-types /) as string,
      connectGpu: expect.stringMatching(/^millrace connect gpu-check /) as string,
    });
  });

  it("finds nothing else than it left, and has nothing to do", () => {
    expect([changesOf(life.refresh.run), changesOf(life.again.run)]).toEqual([{}, {}]);
  });

  it("changes an API's pod template and version, and no other API, when its compute changes", () => {
    expect(changesOf(life.compute.run)).toEqual({
      "PodTemplate file-types-workers": "update",
      "BucketObjectv2 file-types-project-version": "replace",
      "BucketObjectv2 file-types-current": "update",
    });
    expect(changesOf(life.computePreview.run)).toEqual(changesOf(life.compute.run));
  });

  it("adds an archive and a version, and no pod changes, when code changes", () => {
    expect(changesOf(life.code.run)).toEqual({
      "BucketObjectv2 file-types-project-archive": "replace",
      "BucketObjectv2 file-types-project-version": "replace",
      "BucketObjectv2 file-types-current": "update",
    });
    expect(changesOf(life.codePreview.run)).toEqual(changesOf(life.code.run));
  });

  it("moves `current.json` only after the service has rolled and the new version is there", () => {
    for (const { recorded } of [life.compute, life.code]) {
      const order = recorded.filter(({ act }) => act === "create" || act === "update").map(({ name }) => name);

      expect(order.at(-1)).toBe("file-types-current");
    }
  });

  it("removes no code that a job may still need, neither with an update nor at its end", () => {
    const recorded = Object.values(life).flatMap((one) => one.recorded);

    expect(new Set(keysOf(recorded, "create")).size).toBeGreaterThanOrEqual(8);
    expect(keysOf(recorded, "delete")).toEqual([]);
  });

  it("refuses to remove a store that is to be kept", () => {
    expect(life.refused.run.messages.join("\n")).toMatch(/protect/);
    expect(of(life.refused.recorded, "delete").map(({ name }) => name)).not.toContain("store-bucket");
  });

  it("removes everything else at its end", async () => {
    const made = Object.values(life).flatMap(({ recorded }) => of(recorded, "create"));
    const wanted = made.filter(({ preview, type }) => !preview && type !== OBJECT).map(({ name }) => name);
    const deleted = [life.refused, life.destroy].flatMap(({ recorded }) => of(recorded, "delete"));

    expect(new Set(deleted.map(({ name }) => name))).toEqual(new Set(wanted));
    expect(JSON.parse(await stack.stateText())).not.toHaveProperty("checkpoint.latest.resources.0");
  });
});
