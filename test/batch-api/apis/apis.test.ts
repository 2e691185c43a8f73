import { beforeEach, describe, expect, it } from "vitest";

import { realClock } from "../../../services/backends/clock.real.ts";
import { EnvironmentFailed } from "../../../services/backends/environments.ts";
import type { Environments } from "../../../services/backends/environments.ts";
import { MemoryStore } from "../../../services/backends/object-store.memory.ts";
import { packFiles } from "../../../services/project/project-files.ts";
import { apiSpecToCortex } from "../../../services/batch-api/dialects/cortex-wire.ts";
import { apiToWire } from "../../../services/batch-api/routes/api-wire.ts";
import { Apis } from "../../../services/batch-api/apis/apis.ts";
import { Problem } from "../../../services/protocol/problems.ts";
import { aProject } from "../../support/project-folder.ts";

const PROJECT = { "millrace.yaml": "name: words\nhandler: {path: handler.py}\n", "handler.py": "class Handler: ...\n" };

let store: MemoryStore;
let stopped: string[];
let environment: Environments["build"];
let apis: Apis;

beforeEach(() => {
  store = new MemoryStore({ clock: realClock });
  stopped = [];
  environment = () => Promise.resolve("0123abcd");
  const environments: Environments = { build: (...args) => environment(...args) };
  const stopAllJobs = (api: string): Promise<void> => {
    stopped.push(api);
    return Promise.resolve();
  };
  apis = new Apis({ store, environments, stopAllJobs });
});

async function deploy(texts: Readonly<Record<string, string>> = PROJECT, api = "words") {
  return apis.deploy(api, await packFiles(aProject(texts)), () => undefined);
}

async function problemOf(promise: Promise<unknown>): Promise<[string, string]> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Problem)) throw new Error("expected a Problem", { cause: error });
  return [error.code, error.message];
}

async function keys(): Promise<string[]> {
  return (await store.list("")).entries.map((entry) => entry.key);
}

describe("Apis", () => {
  it("refuses containers where its workers cannot run them, and builds no environment where they can", async () => {
    const yaml = "name: words\npod: {containers: [{name: api, image: registry/api, env: {TOKEN: secret}}]}\n";
    const project = { "millrace.yaml": yaml };
    const build = () => Promise.reject(new Error("nothing is installed for an image"));
    const cloud = new Apis({
      ...{ store, environments: { build }, stopAllJobs: () => Promise.resolve() },
      handlerKinds: ["python", "container"],
    });

    expect(await problemOf(deploy(project))).toEqual([
      "project_spec_invalid",
      "pod: found containers, which only workers in a cluster run; deploy it to a cluster, or give a Python class: " +
        "handler: {type: python, path: handler.py}.",
    ]);
    expect(await keys()).toEqual([]);
    const { view } = await cloud.deploy("words", await packFiles(aProject(project)), () => undefined);

    expect(view.current).toMatchObject({ environment: null, spec: { handler: { kind: "container" } } });
    expect(JSON.stringify([apiToWire(view), apiSpecToCortex(view.current)])).not.toContain("secret");
  });

  it("creates, leaves the same unchanged, updates, and goes back", async () => {
    const first = await deploy();
    const again = await deploy();
    const changed = await deploy({ ...PROJECT, "handler.py": "class Handler: x = 1\n" });
    const back = await deploy();

    expect([first, again, changed, back].map((deployed) => deployed.change)).toEqual([
      "created",
      "unchanged",
      "updated",
      "updated",
    ]);
    expect(first.view.current).toMatchObject({ api: "words", environment: "0123abcd", spec: { batch_size: 32 } });
    expect(first.view.current.version).toMatch(/^[0-9a-f]{12}$/);
    expect(back.view.current).toEqual(first.view.current);
    expect(back.view.versions.map((version) => version.version).sort()).toEqual(
      [first.view.current.version, changed.view.current.version].sort(),
    );
  });

  it("makes a new version when only the environment is another", async () => {
    const before = await deploy();
    environment = () => Promise.resolve(null);
    const after = await deploy();

    expect(after.change).toBe("updated");
    expect(after.view.current.environment).toBeNull();
    expect(after.view.current.project).toBe(before.view.current.project);
  });

  it("lists every API once, whatever their names", async () => {
    for (const name of ["a", "a-b", "a0", "ab", "z"]) {
      await deploy({ ...PROJECT, "millrace.yaml": `name: ${name}\nhandler: {path: handler.py}\n` }, name);
    }

    expect((await apis.list()).views.map((view) => view.current.api).sort()).toEqual(["a", "a-b", "a0", "ab", "z"]);
  });

  it.each<[string, Readonly<Record<string, string>>, string, string]>([
    ["no spec", { "handler.py": "" }, "project_spec_missing", "The project has neither millrace.yaml nor cortex.yaml"],
    [
      "another name",
      { ...PROJECT, "millrace.yaml": "name: other\nhandler: {path: handler.py}\n" },
      "project_spec_invalid",
      'name: found "other"; deploy it as other, or change the name to words.',
    ],
    [
      "a handler that is not there",
      { ...PROJECT, "millrace.yaml": "name: words\nhandler: {path: main.py}\n" },
      "project_spec_invalid",
      `handler.path: found "main.py", which is not among the project's files; name a file of the project, like handler.py.`,
    ],
    [
      "text that is no YAML",
      { ...PROJECT, "millrace.yaml": "name: words\n  handler: [\n" },
      "project_spec_invalid",
      "millrace.yaml: found text that is not YAML (",
    ],
    [
      "an alias that names nothing",
      { ...PROJECT, "millrace.yaml": "name: *words\n" },
      "project_spec_invalid",
      "millrace.yaml: found ",
    ],
  ])("refuses a project with %s, and changes nothing", async (_what, texts, code, sentence) => {
    const [found, message] = await problemOf(deploy(texts));

    expect(found).toBe(code);
    expect(message).toContain(sentence);
    expect(await keys()).toEqual([]);
  });

  it("refuses reserved names, bad names and damaged archives", async () => {
    expect(await problemOf(deploy(PROJECT, "health"))).toEqual([
      "name_reserved",
      `The name "health" is a word of the service's own addresses; choose another.`,
    ]);
    expect((await problemOf(deploy(PROJECT, "Words")))[0]).toBe("project_invalid");
    expect((await problemOf(apis.deploy("words", Buffer.from("x"), () => undefined)))[0]).toBe("project_invalid");
  });

  it("tells why the environment failed, and keeps the version before", async () => {
    const before = await deploy();
    environment = () => Promise.reject(new EnvironmentFailed("requirements.txt: found nope==1.", "ERROR: no nope"));
    const problem = await problemOf(deploy({ ...PROJECT, "requirements.txt": "nope==1\n" }));

    expect(problem).toEqual(["environment_failed", "requirements.txt: found nope==1.\nERROR: no nope"]);
    expect((await apis.get("words")).current).toEqual(before.view.current);
  });

  it("names an API that is being removed as long as a job of it is not final", async () => {
    await deploy();
    await store.put("apis/words/active/1", Buffer.alloc(0));
    expect(await apis.withJobs()).toEqual(["words"]);

    await store.delete("apis/words/current.json");
    expect(await apis.withJobs()).toEqual(["words"]);
    await store.delete("apis/words/active/1");
    expect(await apis.withJobs()).toEqual([]);
  });

  it("removes an API after its jobs were stopped, all but its lanes", async () => {
    await deploy();
    await store.swap("apis/words/lanes/0.json", Buffer.from("{}"), undefined);
    await store.put("apis/words/jobs/1/spec.json", Buffer.from("{}"));
    await apis.remove("words");

    expect(stopped).toEqual(["words", "words"]);
    expect(await keys()).toEqual(["apis/words/lanes/0.json"]);
    expect((await problemOf(apis.get("words")))[0]).toBe("api_not_found");
    expect((await problemOf(apis.remove("words")))[0]).toBe("api_not_found");
    expect((await deploy()).change).toBe("created");
  });
});
