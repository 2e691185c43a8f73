import { beforeEach, describe, expect, it } from "vitest";
import { realClock } from "../../../services/backends/clock.real.ts";
import { MemoryStore } from "../../../services/backends/object-store.memory.ts";
import { Apis } from "../../../services/batch-api/apis/apis.ts";
import { apiToWire } from "../../../services/batch-api/routes/api-wire.ts";
import { packFiles } from "../../../services/project/project-files.ts";
import { encodeCurrent, encodeVersion } from "../../../services/protocol/api-version.ts";
import { apiKeys } from "../../../services/protocol/keys.ts";
import { aVersion } from "../../support/builders.ts";
import { aProject } from "../../support/project-folder.ts";

const KEYS = apiKeys("photos");

let store: MemoryStore;
let asked: string[];
let apis: Apis;

beforeEach(() => {
  store = new MemoryStore({ clock: realClock });
  asked = [];
  apis = new Apis({
    ...{ store, only: "photos", owner: { kind: "pinned", stack: "acme/batch/prod" } },
    environments: { build: async () => (asked.push("build"), null) },
    stopAllJobs: async (api) => void asked.push(`stop ${api}`),
    podTemplate: async () => (asked.push("template"), { template: {}, age: { made_at: 0, generation: 1 } }),
  });
});

/** As a stack writes it: whatever was there. */
async function pin(version: string): Promise<void> {
  const object = aVersion({ api: "photos", version, created_at: null });
  await store.put(KEYS.version(version), Buffer.from(encodeVersion(object)));
  const there = await store.read(KEYS.current);
  await store.swap(KEYS.current, Buffer.from(encodeCurrent({ version, generation: 0 })), there?.version);
}

async function keys(): Promise<readonly string[]> {
  return (await store.list("")).entries.map(({ key }) => key);
}

describe("Apis whose code a stack owns", () => {
  it("take no deployment, and say which stack and how", async () => {
    const yaml = "name: photos\nhandler: {path: handler.py}\n";
    const archive = await packFiles(aProject({ "millrace.yaml": yaml, "handler.py": "" }));

    const refused = apis.deploy("photos", archive, () => undefined);

    await expect(refused).rejects.toMatchObject({
      ...{ code: "code_is_pinned", status: 409 },
      message:
        'The code of API "photos" belongs to stack acme/batch/prod: ' +
        'change the project there, and run "pulumi up" on that stack.',
    });
    expect([asked, await keys()]).toEqual([[], []]);
  });

  it("are not removed by a door", async () => {
    await pin("a1");
    const before = await keys();

    await expect(apis.remove("photos")).rejects.toMatchObject({
      ...{ code: "code_is_pinned", status: 409 },
      message:
        'The code of API "photos" belongs to stack acme/batch/prod: ' +
        'take it out of the program there, and run "pulumi up" on that stack.',
    });
    expect([asked, await keys()]).toEqual([[], before]);
  });

  it("show what the stack wrote last, first of all, and that it has no time", async () => {
    await pin("b2");
    await pin("a1");
    await pin("b2");

    const view = await apis.get("photos");

    expect(view.current.version).toBe("b2");
    expect(apiToWire(view)).toMatchObject({
      created_at: null,
      versions: [
        { version: "b2", created_at: null },
        { version: "a1", created_at: null },
      ],
    });
    expect((await apis.list()).views.map(({ current }) => current.version)).toEqual(["b2"]);
    expect(await apis.withJobs()).toEqual(["photos"]);
  });
});
