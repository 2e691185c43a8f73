import { join } from "node:path";
import { AppsV1Api, CoreV1Api } from "@kubernetes/client-node";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ControlPlane } from "./support/control-plane.ts";
import { PulumiStack } from "./support/pulumi-engine.ts";
import { FIELD_MANAGER, KubernetesBacking } from "./support/pulumi-kubernetes.ts";
import { copyProject, type ProjectCopy } from "./support/pulumi-project.ts";
import { RecordingProvider } from "./support/pulumi-provider.ts";
import { changesOf } from "./support/pulumi-steps.ts";

const PROGRAM = join(import.meta.dirname, "fixtures", "pulumi-program");
const PASSWORD = "swordfish-7";
const REGION = { "aws:region": "eu-west-1" };
const SERVICE = { namespace: "api", name: "service" };

let plane: ControlPlane;
let core: CoreV1Api;
let apps: AppsV1Api;
let provider: RecordingProvider;
let project: ProjectCopy;
let stack: PulumiStack;

beforeAll(async () => {
  plane = await ControlPlane.start();
  core = plane.admin.makeApiClient(CoreV1Api);
  apps = plane.admin.makeApiClient(AppsV1Api);
  provider = await RecordingProvider.start({ backing: new KubernetesBacking(plane.admin) });
});
afterAll(async () => {
  provider.stop();
  await plane.stop();
});
beforeEach(async () => {
  project = await copyProject(PROGRAM);
  stack = await PulumiStack.create({
    project: project.folder,
    provider,
    config: REGION,
    secrets: { password: PASSWORD },
  });
});
afterEach(async () => {
  const { succeeded, text } = await stack.destroy();
  await stack.remove();
  await project.remove();
  expect(succeeded, text).toBe(true);
});

async function upWith(settings: Readonly<Record<string, unknown>> = {}) {
  await stack.configure({ ...REGION, ...settings });
  return stack.up();
}

function scaleByHand(replicas: number) {
  return apps.patchNamespacedDeployment({
    ...SERVICE,
    body: [{ op: "replace", path: "/spec/replicas", value: replicas }],
  });
}

describe("Kubernetes objects of a stack, on a real API server", () => {
  it("are there with their secrets after `up`, owned field by field, and gone after `destroy`", async () => {
    const { succeeded, text } = await upWith();

    expect(succeeded, text).toBe(true);
    const deployment = await apps.readNamespacedDeployment(SERVICE);
    expect(deployment.metadata?.managedFields).toContainEqual(
      expect.objectContaining({ manager: FIELD_MANAGER, operation: "Apply" }),
    );
    const [password] = (await core.listNamespacedSecret({ namespace: "api" })).items;
    expect(Buffer.from(password?.data?.["password"] ?? "", "base64").toString()).toBe(PASSWORD);
    expect(await stack.stateText()).not.toContain(password?.data?.["password"]);
    await stack.destroy();
    await expect(core.readNamespace({ name: "api" })).rejects.toThrow("not found");
  });

  it("with a misspelt field are refused, and the answer names the field", async () => {
    const run = await upWith({ "harness:replicasField": "replica" });

    expect(run.succeeded).toBe(false);
    expect(run.messages.join("\n")).toMatch(/error: [^]*Deployment api\/service: [^]*spec\.replica\b/);
    await expect(apps.readNamespacedDeployment(SERVICE)).rejects.toThrow("not found");
  });

  it("with a misspelt field are refused in the preview of an update already", async () => {
    expect((await upWith()).succeeded).toBe(true);
    await stack.configure({ ...REGION, "harness:replicasField": "replica" });

    const run = await stack.preview();

    expect(run.succeeded).toBe(false);
    expect(run.messages.join("\n")).toMatch(/spec\.replica\b/);
  });

  it("are found as they were left, whatever the server has added to them", async () => {
    expect((await upWith()).succeeded).toBe(true);

    const refresh = await stack.refresh();
    const preview = await stack.preview();

    expect([changesOf(refresh), changesOf(preview)]).toEqual([{}, {}]);
  });

  it("that others changed or deleted are found by `refresh`", async () => {
    expect((await upWith()).succeeded).toBe(true);
    await scaleByHand(3);
    await core.deleteNamespacedConfigMap({ namespace: "api", name: "settings" });

    const found = await stack.refresh();

    expect(changesOf(found)).toEqual({ "Deployment service": "update", "ConfigMap settings": "delete" });
  });

  it("are made anew by `up`, and a field that another took is not taken back by force", async () => {
    expect((await upWith()).succeeded).toBe(true);
    await scaleByHand(3);
    await core.deleteNamespacedConfigMap({ namespace: "api", name: "settings" });
    await stack.refresh();

    const run = await stack.up();

    expect((await core.readNamespacedConfigMap({ namespace: "api", name: "settings" })).metadata?.name).toBe(
      "settings",
    );
    expect(run.succeeded).toBe(false);
    expect(run.messages.join("\n")).toMatch(
      /Deployment api\/service: Apply failed with 1 conflict: [^]*\.spec\.replicas/,
    );
  });

  it("that are there already are not taken over", async () => {
    await core.createNamespace({ body: { metadata: { name: "api" } } });

    const run = await upWith();

    expect(run.succeeded).toBe(false);
    expect(run.messages.join("\n")).toContain("Namespace api exists already");
    await core.deleteNamespace({ name: "api" });
  });
});
