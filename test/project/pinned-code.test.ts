import { describe, expect, it } from "vitest";
import { realClock } from "../../services/backends/clock.real.ts";
import { MemoryStore } from "../../services/backends/object-store.memory.ts";
import { Apis } from "../../services/batch-api/apis/apis.ts";
import { imageEnvironmentKey } from "../../services/project/environment-key.ts";
import { pinnedObjects } from "../../services/project/pinned-code.ts";
import { packFiles, sha256Hex } from "../../services/project/project-files.ts";
import { readProjectSpec } from "../../services/project/project-spec.ts";
import type { ApiSpec } from "../../services/protocol/api-spec.ts";
import type { ApiVersion, PodTemplate } from "../../services/protocol/jobs.ts";
import { PodTemplateUnfit, workerPods } from "../../services/protocol/worker-pods.ts";
import { aProject } from "../support/project-folder.ts";

const FILES = aProject({
  "millrace.yaml": "name: photos\nhandler: {path: handler.py}\ncompute: {cpu: 2, mem: 4Gi, gpu: 1}\n",
  "handler.py": "",
  "requirements.txt": "numpy==2.3.0\n",
});
const AGE = { made_at: 1_700_000_000_000, generation: 1 };
const TEMPLATE: PodTemplate = { spec: { containers: [{ name: "worker", image: "worker@sha256:1" }] } };

function specOf(files = FILES): ApiSpec {
  const read = readProjectSpec(files, "photos");
  if (read.kind !== "spec") throw new Error(JSON.stringify(read));
  return read.spec;
}

function pinned(over: Partial<Parameters<typeof pinnedObjects>[0]> = {}) {
  return pinnedObjects({ spec: specOf(), files: FILES, project: "5".repeat(64), podTemplate: TEMPLATE, ...over });
}

describe("the objects of code that a stack owns", () => {
  it("are those that a service writes when the same code is deployed to it, but for the time", async () => {
    const store = new MemoryStore({ clock: realClock });
    const archive = await packFiles(FILES);
    const apis = new Apis({
      ...{ store, stopAllJobs: () => Promise.resolve() },
      environments: {
        build: (files, dependencies) => Promise.resolve(imageEnvironmentKey(files, dependencies, "worker@sha256:1")),
      },
      podTemplate: (spec) =>
        Promise.resolve({ template: workerPods(spec, TEMPLATE) as unknown as PodTemplate, age: AGE }),
    });

    const { view } = await apis.deploy("photos", archive, () => undefined);
    const objects = pinned({ project: sha256Hex(archive) });

    const stored = await store.get(objects.versionObject.key);
    const createdAt = String(view.current.created_at);
    expect(stored?.bytes.toString().replace(`"created_at":${createdAt}`, '"created_at":null')).toBe(
      objects.versionObject.content,
    );
    expect(await store.size(objects.archiveKey)).toBe(archive.length);
    expect((await store.read(objects.currentObject.key))?.bytes.toString()).toBe(
      objects.currentObject.content.replace('"generation":0}', `"generation":1,"template":${JSON.stringify(AGE)}}`),
    );
  });

  it("hold the template fitted to the spec, and the key of the environment of its image", () => {
    const { version, environment, versionObject } = pinned();
    const other = pinned({ podTemplate: { spec: { containers: [{ name: "worker", image: "worker@sha256:2" }] } } });
    const content = JSON.parse(versionObject.content) as ApiVersion;

    expect(versionObject.key).toBe(`apis/photos/versions/${version}.json`);
    expect(content).toMatchObject({ version, environment, created_at: null });
    expect(content.pod_template).toMatchObject({
      spec: { containers: [{ resources: { requests: { cpu: "2", memory: "4Gi", "nvidia.com/gpu": "1" } } }] },
    });
    expect(other.environment).not.toBe(environment);
    expect(other.version).not.toBe(version);
  });

  it("name no environment where nothing is asked for, or where an image brings its own", () => {
    const plain = aProject({ "millrace.yaml": "name: photos\nhandler: {path: handler.py}\n", "handler.py": "" });
    const yaml = "name: photos\npod: {containers: [{name: api, image: registry/api}]}\n";
    const image = aProject({ "millrace.yaml": yaml, "requirements.txt": "numpy\n" });

    for (const files of [plain, image]) expect(pinned({ files, spec: specOf(files) }).environment).toBeNull();
  });

  it("are refused where template and spec do not go together", () => {
    const podTemplate = { spec: { containers: [{ name: "main" }] } };

    expect(() => pinned({ podTemplate })).toThrow(PodTemplateUnfit);
  });
});
