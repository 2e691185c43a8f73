import { beforeEach, describe, expect, it } from "vitest";
import { EnvironmentFailed } from "../../../services/backends/environments.ts";
import { MemoryStore } from "../../../services/backends/object-store.memory.ts";
import { Unwell } from "../../../services/backends/unwell.ts";
import { VersionEnvironments } from "../../../services/batch-api/apis/version-environments.ts";
import { packFiles } from "../../../services/project/project-files.ts";
import { encodeVersion } from "../../../services/protocol/api-version.ts";
import { apiKeys } from "../../../services/protocol/keys.ts";
import { aVersion } from "../../support/builders.ts";
import { aProject } from "../../support/project-folder.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const END = JSON.stringify({ format: 1, builder: "b", parts: 1, bytes: 4, folder: "e1" });

const KEYS = apiKeys("digits");
const VERSION = aVersion({ environment: "e1", created_at: null, pod_template: { spec: {} } });
const PIP = new EnvironmentFailed("requirements.txt: found x==9, which does not exist", "ERROR: No matching");

/** One that was begun, to be ended by the test. */
interface Build {
  readonly files: readonly string[];
  readonly say: (sentence: string) => void;
  done(): Promise<void>;
  fail(error: Error): Promise<void>;
}

let clock: VirtualClock;
let store: MemoryStore;
let end: AbortController;
let warned: string[];
let builds: Build[];
let onBegin: (build: Build) => void;
let environments: VersionEnvironments;

beforeEach(async () => {
  clock = new VirtualClock();
  store = new MemoryStore({ clock });
  [end, warned, builds, onBegin] = [new AbortController(), [], [], () => undefined];
  await store.put(KEYS.version("v1"), Buffer.from(encodeVersion(VERSION)));
  const files = aProject({ "handler.py": "", "requirements.txt": "x==9\n" });
  await store.put(KEYS.project(VERSION.project), await packFiles(files));
  environments = new VersionEnvironments({
    ...{ store, clock, signal: end.signal },
    log: { info: () => undefined, warn: (_fields, sentence) => void warned.push(sentence) },
    make: (_version, project, say) => {
      return new Promise((resolve, reject) => {
        const build: Build = {
          files: [...project.keys()],
          say,
          async done() {
            await store.put(KEYS.environmentEnd("e1"), Buffer.from(END));
            resolve();
            await clock.advance(0);
          },
          async fail(error) {
            reject(error);
            await clock.advance(0);
          },
        };
        builds.push(build);
        onBegin(build);
      });
    },
  });
});

function readiness() {
  return environments.readiness("digits", "v1");
}

/** The build that is begun by asking. */
async function nextBuild(): Promise<Build> {
  const begun = new Promise<Build>((resolve) => (onBegin = resolve));
  await readiness();
  return begun;
}

async function failNext(error: Error = PIP): Promise<void> {
  await (await nextBuild()).fail(error);
}

describe("the environment of a version that nobody deployed here", () => {
  it("is not asked for where there is none, or where it is made", async () => {
    await store.put(KEYS.version("plain"), Buffer.from(encodeVersion(aVersion({ version: "plain" }))));
    await store.put(KEYS.environmentEnd("e1"), Buffer.from(END));

    expect(await environments.readiness("digits", "plain")).toEqual({ kind: "ready" });
    expect(await readiness()).toEqual({ kind: "ready" });
    expect(builds).toEqual([]);
  });

  it("is not built for a version of a laptop, which the pool refuses in words of its own", async () => {
    const laptop = aVersion({ version: "laptop", environment: "e1" });
    await store.put(KEYS.version("laptop"), Buffer.from(encodeVersion(laptop)));

    expect(await environments.readiness("digits", "laptop")).toEqual({ kind: "ready" });
  });

  it("is built once, from the version's own project, while its jobs are told why they wait", async () => {
    const begun = nextBuild();
    const first = await Promise.all([readiness(), readiness()]);
    const build = await begun;
    build.say("the environment's builder waits: no node has room");
    const later = await readiness();
    await build.done();

    expect(first).toEqual(
      Array(2).fill({ kind: "waits", why: "workers wait for their environment: it is being built" }),
    );
    expect(later).toEqual({
      kind: "waits",
      why: "workers wait for their environment: the environment's builder waits: no node has room",
    });
    expect(builds.map(({ files }) => files)).toEqual([["handler.py", "requirements.txt"]]);
    expect(await readiness()).toEqual({ kind: "ready" });
  });

  it("that fails is tried again after a pause, and the third failure is the jobs', in the installer's words", async () => {
    const words = "requirements.txt: found x==9, which does not exist\nERROR: No matching";
    await failNext();
    expect(await readiness()).toEqual({
      kind: "waits",
      why: `workers wait for their environment, which is tried again soon: ${words}`,
    });
    await clock.advance(29_000);
    await readiness();
    expect(builds).toHaveLength(1);
    await clock.advance(1_000);
    await failNext();
    await clock.advance(60_000);
    await failNext();

    expect(await readiness()).toEqual({ kind: "failed", why: `its environment: ${words}` });
    expect([builds.length, warned.length]).toEqual([3, 3]);
  });

  it("that was given up is tried anew for whoever comes later", async () => {
    for (const pauseMs of [30_000, 60_000, 599_000]) {
      await failNext();
      await clock.advance(pauseMs);
    }
    expect(await readiness()).toMatchObject({ kind: "failed" });
    await clock.advance(1_000);

    const build = await nextBuild();
    expect(await readiness()).toMatchObject({ kind: "waits" });
    await build.done();
    expect(await readiness()).toEqual({ kind: "ready" });
  });

  it("waits for ever for a cluster that does not answer: that is no failure of a build", async () => {
    for (let tries = 0; tries < 5; tries += 1) {
      await failNext(new Unwell("the Kubernetes API server did not answer"));
      expect(await readiness()).toMatchObject({
        kind: "waits",
        why: expect.stringContaining("did not answer") as string,
      });
      await clock.advance(15_000);
    }
    expect(builds).toHaveLength(5);
  });

  it("is not told in the words of a surprise, which stand in the log", async () => {
    await failNext(new Error("secret of somebody"));

    expect(JSON.stringify(await readiness())).not.toContain("secret");
    expect(warned).toEqual(["an environment could not be built"]);
  });

  it("says that the project is gone when it is", async () => {
    await store.delete(KEYS.project(VERSION.project));
    await readiness();
    await clock.advance(0);

    expect(await readiness()).toMatchObject({
      why: expect.stringContaining("is not in the store; deploy the project again, or run pulumi up") as string,
    });
  });

  it("is left to the next start when this service ends", async () => {
    const build = await nextBuild();
    end.abort(new Error("the service ends"));
    await build.fail(new Error("the service ends"));

    expect(warned).toEqual([]);
  });
});
