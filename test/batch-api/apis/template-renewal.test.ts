import type { V1PodTemplateSpec } from "@kubernetes/client-node";
import { beforeEach, describe, expect, it } from "vitest";
import { EnvironmentFailed } from "../../../services/backends/environments.ts";
import type { DeclaredTemplate } from "../../../services/backends/kubernetes/pod-templates.ts";
import { readCurrent, swapCurrent } from "../../../services/batch-api/apis/current.ts";
import { TemplateRenewal } from "../../../services/batch-api/apis/template-renewal.ts";
import { versionOf } from "../../../services/batch-api/jobs/versions.ts";
import { fitTemplate } from "../../../services/batch-api/pods.ts";
import { imageEnvironmentKey } from "../../../services/project/environment-key.ts";
import { packFiles, sha256Hex } from "../../../services/project/project-files.ts";
import { apiVersion, encodeVersion, isNewerTemplate } from "../../../services/protocol/api-version.ts";
import type { ApiVersion } from "../../../services/protocol/jobs.ts";
import { apiKeys } from "../../../services/protocol/keys.ts";
import { anApiSpec } from "../../support/builders.ts";
import { aProject } from "../../support/project-folder.ts";
import { WatchedWorld } from "../../support/watched-world.ts";

const KEYS = apiKeys("digits");
const SPEC = anApiSpec({ compute: { cpu: "2", mem: null, gpu: 0 } });
const FILES = aProject({ "handler.py": "", "requirements.txt": "numpy\n" });
const MADE_MS = Date.UTC(2026, 0, 1);

let world: WatchedWorld;
let infos: string[];
/** Images that environments were built for. */
let built: string[];
let fault: Error | undefined;

/** The template of an image, as read from an object of a PodTemplate made so many minutes in. */
function declared(image: string, madeMinutes = 0, generation = 1): DeclaredTemplate {
  const made_at = MADE_MS + madeMinutes * 60_000;
  return { template: { spec: { containers: [{ name: "worker", image }] } }, age: { made_at, generation } };
}

const imageOf = (template: V1PodTemplateSpec) => template.spec?.containers[0]?.image ?? "";

/** One replica, which reads the template that a test says. */
function aReplica(read: () => DeclaredTemplate) {
  const renewal = new TemplateRenewal({
    ...{ store: world.store, clock: world.clock, fit: fitTemplate },
    log: { info: (_fields, sentence) => void infos.push(sentence), warn: () => undefined },
    declared: () => Promise.resolve(read()),
    build: (template, files, dependencies) => {
      if (fault !== undefined) return Promise.reject(fault);
      built.push(imageOf(template));
      return Promise.resolve(imageEnvironmentKey(files, dependencies, imageOf(template)));
    },
  });
  return { look: () => renewal.look("digits", new AbortController().signal) };
}

/** Code as it was deployed with that template; undefined: by a stack, which keeps no age. */
async function deploy(with_: DeclaredTemplate, files = FILES, keepsAge = true): Promise<ApiVersion> {
  const archive = await packFiles(files);
  const parts = {
    ...{ spec: SPEC, project: sha256Hex(archive), podTemplate: fitTemplate(SPEC, with_.template) },
    environment: imageEnvironmentKey(
      files,
      SPEC.handler.kind === "python" ? SPEC.handler.dependencies : never(),
      imageOf(with_.template),
    ),
  };
  const version = apiVersion(parts, 1);
  await world.memory.put(KEYS.project(parts.project), archive);
  await world.memory.put(KEYS.version(version.version), Buffer.from(encodeVersion(version)));
  const age = keepsAge ? { template: with_.age } : {};
  await swapCurrent(
    world.memory,
    "digits",
    { version: version.version, ...age },
    await readCurrent(world.memory, "digits"),
  );
  world.calls.length = 0;
  return version;
}

function never(): never {
  throw new Error("the spec is of a Python class");
}

async function current() {
  const found = await readCurrent(world.memory, "digits");
  if (found === undefined) throw new Error("nothing is current");
  return { ...found.value, object: await versionOf(world.memory, "digits", found.value.version) };
}

function imageIn({ pod_template: template }: ApiVersion): string {
  return imageOf(template ?? {});
}

beforeEach(() => {
  world = new WatchedWorld();
  [infos, built, fault] = [[], [], undefined];
});

describe("deployed code whose envelope declares a newer template", () => {
  it("becomes a new version of the same code, with its environment, before new jobs get it", async () => {
    const former = await deploy(declared("worker:1"));
    const order: string[] = [];
    world.before = (call) => void order.push(call.split("/").slice(0, 3).join("/"));

    await aReplica(() => declared("worker:2", 0, 2)).look();
    const now = await current();

    expect(now).toMatchObject({ generation: 2, template: { made_at: MADE_MS, generation: 2 } });
    expect(now.object).toMatchObject({ spec: former.spec, project: former.project });
    expect(imageIn(now.object)).toBe("worker:2");
    expect(now.object.pod_template).toMatchObject({
      spec: { containers: [{ resources: { requests: { cpu: "2" } } }] },
    });
    expect([built, now.object.environment === former.environment]).toEqual([["worker:2"], false]);
    expect(await versionOf(world.memory, "digits", former.version)).toEqual(former);
    expect(order.slice(-2)).toEqual(["put apis/digits/versions", "swap apis/digits/current.json"]);
    expect(infos).toEqual(["new jobs get the pod template that is declared now"]);
  });

  it("is left alone while the template is the same, or when nothing was deployed", async () => {
    await aReplica(() => declared("worker:1")).look();
    await deploy(declared("worker:1"));
    await aReplica(() => declared("worker:1")).look();

    expect([world.callsOf("swap"), built]).toEqual([[], []]);
  });

  it("keeps its version, and notes the age, where the newer template says the same", async () => {
    const former = await deploy(declared("worker:1"));
    await aReplica(() => declared("worker:1", 0, 3)).look();

    expect(await current()).toMatchObject({ version: former.version, template: { generation: 3 } });
    expect(infos).toEqual([]);
    await aReplica(() => declared("worker:1", 0, 3)).look();
    expect(world.callsOf("swap")).toHaveLength(1);
  });

  it("gets it when a stack owned the code before, which keeps no age", async () => {
    await deploy(declared("worker:1"), FILES, false);
    await aReplica(() => declared("worker:2")).look();

    expect(imageIn((await current()).object)).toBe("worker:2");
  });

  it("builds nothing where nothing is asked for", async () => {
    await deploy(declared("worker:1"), aProject({ "handler.py": "" }));
    await aReplica(() => declared("worker:2", 0, 2)).look();

    expect([built, (await current()).object.environment]).toEqual([[], null]);
  });

  it("stays as it is when the environment cannot be built, and is not tried at each look", async () => {
    const former = await deploy(declared("worker:1"));
    let template = declared("worker:2", 0, 2);
    const replica = aReplica(() => template);
    fault = new EnvironmentFailed("no such package");

    await expect(replica.look()).rejects.toBe(fault);
    fault = undefined;
    await replica.look();
    expect([(await current()).version, built]).toEqual([former.version, []]);
    await world.clock.advance(600_000);
    await replica.look();
    expect(imageIn((await current()).object)).toBe("worker:2");

    fault = new EnvironmentFailed("no such package");
    template = declared("worker:3", 0, 3);
    await expect(replica.look()).rejects.toBe(fault);
    fault = undefined;
    template = declared("worker:4", 0, 4);
    await replica.look();
    expect(imageIn((await current()).object)).toBe("worker:4");
  });
});

describe("two replicas", () => {
  it("of a rolling update, which read different objects, move an API once and never back", async () => {
    await deploy(declared("worker:1"));
    const old = aReplica(() => declared("worker:1"));
    const rolled = aReplica(() => declared("worker:2", 5));

    for (let look = 0; look < 5; look += 1) {
      await old.look();
      await rolled.look();
    }

    expect(imageIn((await current()).object)).toBe("worker:2");
    expect([(await current()).generation, built]).toEqual([2, ["worker:2"]]);
  });

  it("that renew at once make one version, and one of them moves to it", async () => {
    await deploy(declared("worker:1"));
    await Promise.all([1, 2].map(() => aReplica(() => declared("worker:2", 0, 2)).look()));

    expect((await current()).generation).toBe(2);
    expect(infos).toEqual(["new jobs get the pod template that is declared now"]);
  });

  it("lose to a deployment that came while they built, and renew that one at the next look", async () => {
    await deploy(declared("worker:1"));
    const replica = aReplica(() => declared("worker:2", 0, 2));
    const files = aProject({ "handler.py": "x = 1\n" });
    let deployed: ApiVersion | undefined;
    world.before = async (call) => {
      if (!call.startsWith("swap ") || deployed !== undefined) return;
      deployed = await deploy(declared("worker:1"), files);
    };

    await replica.look();
    expect((await current()).version).toBe(deployed?.version);
    await replica.look();

    expect((await current()).object.project).toBe(deployed?.project);
    expect(imageIn((await current()).object)).toBe("worker:2");
  });
});

describe("isNewerTemplate", () => {
  it("tells a later object from an earlier one, and generations of one", () => {
    const at = (made_at: number, generation: number) => ({ made_at, generation });

    expect(isNewerTemplate(at(2, 1), at(1, 9))).toBe(true);
    expect(isNewerTemplate(at(1, 9), at(2, 1))).toBe(false);
    expect(isNewerTemplate(at(1, 2), at(1, 1))).toBe(true);
    expect(isNewerTemplate(at(1, 1), at(1, 1))).toBe(false);
  });
});
