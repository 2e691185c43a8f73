import { beforeEach, describe, expect, it } from "vitest";
import { realClock } from "../../../services/backends/clock.real.ts";
import type { Environments } from "../../../services/backends/environments.ts";
import { MemoryStore } from "../../../services/backends/object-store.memory.ts";
import { packFiles } from "../../../services/project/project-files.ts";
import { Apis } from "../../../services/batch-api/apis/apis.ts";
import { apiSpecToCortex } from "../../../services/batch-api/dialects/cortex-wire.ts";
import { apiToWire } from "../../../services/batch-api/routes/api-wire.ts";
import { Problem } from "../../../services/protocol/problems.ts";
import { aProject } from "../../support/project-folder.ts";

const AGE = { made_at: 1_700_000_000_000, generation: 1 };

let store: MemoryStore;
let podTemplate: () => Promise<Record<string, unknown>>;
let built: number;
let stopped: string[];
let apis: Apis;

beforeEach(() => {
  store = new MemoryStore({ clock: realClock });
  [built, stopped] = [0, []];
  podTemplate = () => Promise.resolve({ spec: { containers: [{ name: "worker", image: "worker:1" }] } });
  const environments: Environments = { build: async () => `e${String((built += 1) > 0)}` };
  apis = new Apis({
    ...{ store, environments, only: "photos", podTemplate: async () => ({ template: await podTemplate(), age: AGE }) },
    stopAllJobs: async (api) => void stopped.push(api),
  });
});

async function deploy(api = "photos") {
  const yaml = `name: ${api}\nhandler: {path: handler.py}\nenv: {TOKEN: secret-of-the-spec}\n`;
  return apis.deploy(api, await packFiles(aProject({ "millrace.yaml": yaml, "handler.py": "" })), () => undefined);
}

async function keys(): Promise<readonly string[]> {
  return (await store.list("")).entries.map(({ key }) => key);
}

/** Another API in the same bucket, of another service. */
async function another(): Promise<void> {
  const others = new Apis({ store, environments: { build: async () => null }, stopAllJobs: async () => undefined });
  const yaml = "name: sounds\nhandler: {path: handler.py}\n";
  await others.deploy(
    "sounds",
    await packFiles(aProject({ "millrace.yaml": yaml, "handler.py": "" })),
    () => undefined,
  );
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.catch((reason: unknown) => reason);
  if (error instanceof Problem) return error.code;
  throw new Error("expected a Problem", { cause: error });
}

describe("Apis of a service that stands for one API", () => {
  it("refuses to deploy another, and builds nothing for it", async () => {
    const refused: unknown = await deploy("sounds").catch((error: unknown) => error);

    expect(refused).toMatchObject({
      code: "not_allowed",
      message: 'This service stands for API "photos" alone; deploy to that name, or to another service.',
    });
    expect([built, await keys()]).toEqual([0, []]);
  });

  it("neither shows nor removes another one of the same bucket", async () => {
    await another();
    await deploy();
    const before = await keys();

    expect((await apis.list()).views.map(({ current }) => current.api)).toEqual(["photos"]);
    expect(await apis.withJobs()).toEqual(["photos"]);
    expect(await codeOf(apis.get("sounds"))).toBe("api_not_found");
    expect(await codeOf(apis.remove("sounds"))).toBe("api_not_found");
    expect([stopped, await keys()]).toEqual([[], before]);
  });

  it("is listed with no jobs before its API was deployed", async () => {
    expect((await apis.list()).views).toEqual([]);
    expect(await apis.withJobs()).toEqual([]);
  });
});

describe("the pod template in a version", () => {
  it("is kept, makes another version when it changes, and is the same version again when it is the same", async () => {
    const first = await deploy();
    const again = await deploy();
    podTemplate = () => Promise.resolve({ spec: { containers: [{ name: "worker", image: "worker:2" }] } });
    const changed = await deploy();

    expect(first.view.current.pod_template).toEqual({ spec: { containers: [{ name: "worker", image: "worker:1" }] } });
    expect([again.change, changed.change]).toEqual(["unchanged", "updated"]);
    expect(changed.view.current.version).not.toBe(first.view.current.version);
  });

  it("is never shown: its containers' variables may be secrets", async () => {
    const env = [{ name: "TOKEN", value: "secret-of-the-template" }];
    podTemplate = () => Promise.resolve({ spec: { containers: [{ name: "worker", env }] } });
    const { view } = await deploy();

    expect(JSON.stringify([apiToWire(view), apiSpecToCortex(view.current)])).not.toContain("secret");
  });

  it("is asked for before an environment is built, and nothing is kept when there is none", async () => {
    podTemplate = () => Promise.reject(new Problem("pod_template_unusable", "declare it"));

    expect(await codeOf(deploy())).toBe("pod_template_unusable");
    expect([built, await keys()]).toEqual([0, []]);
  });
});
