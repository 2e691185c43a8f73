import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PulumiStack, type StackOptions } from "./support/pulumi-engine.ts";
import { copyProject, type ProjectCopy } from "./support/pulumi-project.ts";
import { RecordingProvider, type Recorded } from "./support/pulumi-provider.ts";
import { changesOf, stepOf, type EngineRun } from "./support/pulumi-steps.ts";
import { UNKNOWN } from "./support/pulumi-values.ts";
import { awaitWith } from "./support/cluster-process.ts";

const PROGRAM = join(import.meta.dirname, "fixtures", "pulumi-program");
const PASSWORD = "swordfish-7";
const REGION = { "aws:region": "eu-west-1" };

let project: ProjectCopy;
let provider: RecordingProvider;
const stacks: PulumiStack[] = [];

beforeAll(async () => {
  project = await copyProject(PROGRAM);
  provider = await RecordingProvider.start();
});
afterAll(async () => {
  for (const stack of stacks) await stack.remove();
  provider.stop();
  await project.remove();
});

async function aStack(options: Partial<StackOptions> = {}): Promise<PulumiStack> {
  const all = { project: project.folder, provider, config: REGION, secrets: { password: PASSWORD }, ...options };
  const stack = await PulumiStack.create(all);
  stacks.push(stack);
  return stack;
}

function inputsOf(recorded: readonly Recorded[], act: Recorded["act"], name: string): Recorded["inputs"] {
  const found = recorded.find((one) => one.act === act && one.name === name);
  expect(found, `${act} of ${name}`).toBeDefined();
  return found?.inputs ?? {};
}

const EVERYTHING = [
  ...[
    "Vpc network",
    "Subnet subnet-a",
    "Subnet subnet-b",
    "Queue lane",
    "Cluster cluster",
    "Cluster cluster-eksCluster",
  ],
  ...["Namespace api", "ConfigMap settings", "Secret password", "Deployment service"],
];

interface Acted {
  readonly run: EngineRun;
  readonly recorded: readonly Recorded[];
}

describe("a stack's whole life on the real engine", () => {
  let stack: PulumiStack;
  let life: Readonly<Record<"preview" | "up" | "again" | "changing" | "changed" | "refresh" | "destroy", Acted>>;
  let stateAfterUp: string;
  let outputsAfterUp: Readonly<Record<string, unknown>>;
  let outputsAfterChange: Readonly<Record<string, unknown>>;

  beforeAll(async () => {
    stack = await aStack();
    const acted = async (run: Promise<EngineRun>): Promise<Acted> => ({ run: await run, recorded: provider.take() });
    const preview = await acted(stack.preview());
    const up = await acted(stack.up());
    [stateAfterUp, outputsAfterUp] = [await stack.stateText(), await stack.outputs()];
    const again = await acted(stack.preview());
    await stack.configure({ ...REGION, "harness:cidr": "10.1.0.0/16", "harness:visibilitySeconds": 90 });
    const changing = await acted(stack.preview());
    const changed = await acted(stack.up());
    outputsAfterChange = await stack.outputs();
    const refresh = await acted(stack.refresh());
    const destroy = await acted(stack.destroy());
    life = { preview, up, again, changing, changed, refresh, destroy };
    for (const [name, { run }] of Object.entries(life)) expect(run.succeeded, `${name}\n${run.text}`).toBe(true);
  });

  it("previews everything as created", () => {
    expect(changesOf(life.preview.run)).toEqual(Object.fromEntries(EVERYTHING.map((name) => [name, "create"])));
  });

  it("does not know in its first preview what only a cloud can tell", () => {
    expect(inputsOf(life.preview.recorded, "create", "subnet-a")).toEqual({
      vpcId: UNKNOWN,
      cidrBlock: "10.0.0.0/24",
      availabilityZone: "eu-west-1a",
    });
    expect(life.preview.recorded.every(({ act, preview }) => preview || act === "invoke")).toBe(true);
  });

  it("makes each resource once, with inputs that are all known", () => {
    const made = life.up.recorded.filter(({ act }) => act === "create");

    expect(made.map(({ type, name }) => `${type.split(":").at(-1) ?? ""} ${name}`).sort()).toEqual(
      EVERYTHING.filter((name) => name !== "Cluster cluster").sort(),
    );
    expect(JSON.stringify(life.up.recorded)).not.toContain(UNKNOWN);
  });

  it("makes a cluster out of the remote component, and hands on its outputs", () => {
    expect(outputsAfterUp["clusterName"]).toMatch(/^cluster-eksCluster-[0-9a-f]{8}$/);
    expect(inputsOf(life.up.recorded, "create", "cluster-eksCluster")).toMatchObject({ version: "1.35" });
  });

  it("gives a secret to its provider in clear, and keeps it encrypted in state and configuration", async () => {
    const settings = await readFile(join(project.folder, "Pulumi.dev.yaml"), "utf8");
    const encoded = Buffer.from(PASSWORD).toString("base64");

    expect(inputsOf(life.up.recorded, "create", "password")).toMatchObject({ stringData: { password: PASSWORD } });
    for (const text of [stateAfterUp, settings]) {
      expect(text).not.toContain(PASSWORD);
      expect(text).not.toContain(encoded);
    }
    expect(stateAfterUp).toContain('"ciphertext"');
    expect(outputsAfterUp["secretLength"]).toBe(PASSWORD.length);
  });

  it("has nothing to do when nothing changed", () => {
    expect(changesOf(life.again.run)).toEqual({});
  });

  it("tells an update from a replacement, and replaces what leans on what is replaced", () => {
    expect(changesOf(life.changing.run)).toEqual({
      "Queue lane": "update",
      "Vpc network": "replace",
      "Subnet subnet-a": "replace",
      "Subnet subnet-b": "replace",
      "Cluster cluster-eksCluster": "update",
    });
    expect(stepOf(life.changing.run, "aws:sqs/queue:Queue", "lane").diffs).toEqual(["visibilityTimeoutSeconds"]);
    expect(stepOf(life.changing.run, "aws:ec2/subnet:Subnet", "subnet-a").diffs).toEqual(["vpcId"]);
  });

  it("does what it has previewed", () => {
    expect(changesOf(life.changed.run)).toEqual(changesOf(life.changing.run));
  });

  it("knows in the preview of an update what stays, so that nothing else changes", () => {
    expect(changesOf(life.changing.run)).not.toHaveProperty("ConfigMap settings");
    expect(outputsAfterChange["queueUrl"]).toBe(outputsAfterUp["queueUrl"]);
  });

  it("finds nothing else than it left", () => {
    expect(changesOf(life.refresh.run)).toEqual({});
    expect(life.refresh.recorded.filter(({ act }) => act === "read")).toHaveLength(EVERYTHING.length - 1);
  });

  it("removes everything, what leans on another first", async () => {
    const deleted = life.destroy.recorded.filter(({ act }) => act === "delete").map(({ name }) => name);

    expect(deleted).toHaveLength(EVERYTHING.length - 1);
    expect(deleted.indexOf("subnet-a")).toBeLessThan(deleted.indexOf("network"));
    expect(deleted.indexOf("service")).toBeLessThan(deleted.indexOf("cluster-eksCluster"));
    expect(JSON.parse(await stack.stateText())).not.toHaveProperty("checkpoint.latest.resources.0");
  });
});

describe("a program that does not come to its end", () => {
  it("fails with what it threw, and nothing is made", async () => {
    const stack = await aStack({ config: { ...REGION, "harness:fault": "workersMax: 0 is too few" } });
    provider.take();

    const run = await stack.up();

    expect(run.succeeded).toBe(false);
    expect(run.messages.join("\n")).toMatch(/^error: [^]*workersMax: 0 is too few/);
    expect(provider.take()).toEqual([]);
    await stack.remove();
  });

  it("ends with its engine when the stack is removed meanwhile", async () => {
    const stack = await aStack({ config: { ...REGION, "harness:hang": true } });
    const marker = join(project.folder, "hanging");

    const run = stack.preview();
    const pid = Number(
      await awaitWith("the program to hang", [], () => existsSync(marker) && readFile(marker, "utf8")),
    );
    await stack.remove();

    expect((await run).succeeded).toBe(false);
    await awaitWith("the program to end", [], () => !existsSync(`/proc/${String(pid)}`), 10);
  });
});
