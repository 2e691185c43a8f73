import type { V1Job, V1Pod, V1PodTemplateSpec } from "@kubernetes/client-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { realClock, realRandom } from "../../services/backends/clock.real.ts";
import { readRequest, type EnvironmentEnd } from "../../services/backends/environment-archive.ts";
import { JobEnvironments } from "../../services/backends/environments.kubernetes.ts";
import { EnvironmentFailed } from "../../services/backends/environments.ts";
import { MemoryStore } from "../../services/backends/object-store.memory.ts";
import { SPEC_DEFAULTS } from "../../services/protocol/api-spec.parse.ts";
import { apiKeys } from "../../services/protocol/keys.ts";
import { Unwell } from "../../services/backends/unwell.ts";
import { aProject } from "../support/project-folder.ts";
import {
  noObject,
  startApiServer,
  type ApiServerAnswer,
  type AskedOfApiServer,
  type ScriptedApiServer,
} from "./kubernetes/an-api-server.ts";

const { dependencies } = SPEC_DEFAULTS;
const FILES = aProject({ "handler.py": "", "requirements.txt": "greeting\n" });

let store: MemoryStore;
let server: ScriptedApiServer;
/** The builder's Job as the server has it, and its pods. */
let job: V1Job | undefined;
let pods: V1Pod[];
let made: number;
/** What happens when somebody looks at the Job for the n-th time since it was made. */
let onLook: (look: number) => void;
let looks: number;
let refuseCreate: ApiServerAnswer | undefined;
let image: string;
/** So many requests are not answered. */
let silent: number;

beforeEach(async () => {
  store = new MemoryStore({ clock: realClock });
  [job, pods, made, looks, silent] = [undefined, [], 0, 0, 0];
  [refuseCreate, image] = [undefined, "worker@sha256:1"];
  onLook = (look) => {
    if (look === 2) void end();
  };
  server = await startApiServer(answer);
});

afterEach(async () => {
  await server.close();
});

function answer({ line, body }: AskedOfApiServer): ApiServerAnswer {
  if (silent > 0) {
    silent -= 1;
    return { status: 503, body: { message: "starting" } };
  }
  if (line.startsWith("POST ")) {
    if (refuseCreate !== undefined) return refuseCreate;
    const asked = body as V1Job;
    if (job?.metadata?.name === asked.metadata?.name) return noObject(409);
    made += 1;
    looks = 0;
    pods = [];
    const metadata = Object.assign({}, asked.metadata, { uid: `uid-${String(made)}` });
    job = Object.assign({}, asked, { metadata, status: {} });
    return { status: 201, body: job };
  }
  if (line.startsWith("DELETE ")) {
    const { uid } = (body as { preconditions: { uid: string } }).preconditions;
    if (job?.metadata?.uid !== uid) return noObject(409);
    job = undefined;
    return { body: {} };
  }
  if (line.endsWith("/pods")) return { body: { items: pods } };
  if (line.endsWith("/events")) return { body: { items: [] } };
  if (job === undefined || !line.endsWith(`/${job.metadata?.name ?? ""}`)) return noObject();
  looks += 1;
  onLook(looks);
  return { body: job };
}

/** Lies where the builder's pod would write it. */
async function end(): Promise<void> {
  const { namespaceKey } = current();
  const facts: EnvironmentEnd = { format: 1, builder: "b1", parts: 1, bytes: 0, folder: "python" };
  await store.put(namespaceKey, Buffer.from(JSON.stringify(facts)));
}

function current() {
  const key = job?.metadata?.annotations?.["millrace/environment"] ?? "";
  return { key, namespaceKey: apiKeys("photos").environmentEnd(key) };
}

function fails(message: string, terminated: object | undefined, reason = "PodFailurePolicy"): void {
  if (job === undefined) return;
  job = Object.assign({}, job, { status: { conditions: [{ type: "Failed", status: "True", reason, message }] } });
  const status = { name: "worker", image: "", imageID: "", ready: false, restartCount: 0, state: { terminated } };
  const shape = { metadata: { uid: "p" }, status: { phase: "Failed", containerStatuses: [status] } };
  pods = terminated === undefined ? [] : [shape as unknown as V1Pod];
}

function environments(): JobEnvironments {
  const podTemplate = (): Promise<V1PodTemplateSpec> =>
    Promise.resolve({ spec: { containers: [{ name: "worker", image }] } });
  // a look takes no time
  const clock = { ...realClock, sleep: () => new Promise<void>((resolve) => void setImmediate(resolve)) };
  return new JobEnvironments({
    ...{ api: "photos", store, namespace: "batch", kubeConfig: server.kubeConfig, clock, random: realRandom },
    ...{ podTemplate, workerEnvironment: { MILLRACE_STORE: "s3://acme-batch" } },
  });
}

async function failureOf(promise: Promise<unknown>): Promise<EnvironmentFailed> {
  const error: unknown = await promise.catch((reason: unknown) => reason);
  if (error instanceof EnvironmentFailed) return error;
  throw new Error("expected EnvironmentFailed", { cause: error });
}

const silently = () => undefined;

describe("JobEnvironments", () => {
  it("makes an environment by one Job, and later asks nobody but the store", async () => {
    const said: string[] = [];
    const key = await environments().build(FILES, dependencies, (sentence) => said.push(sentence));
    expect(said).toEqual(["making the environment in a Job of its own (once: it is kept for later uses)"]);
    const { files } = await readRequest({ store, api: "photos", key: key ?? "" });
    expect([...files.keys()]).toEqual(["handler.py", "requirements.txt"]);

    const asked = server.asked.length;
    const again = await environments().build(FILES, dependencies, (sentence) => said.push(sentence));

    expect([again, made, server.asked.length, said.length]).toEqual([key, 1, asked, 1]);
  });

  it("shares the Job between two replicas that are asked at once", async () => {
    const keys = await Promise.all([1, 2].map(() => environments().build(FILES, dependencies, silently)));

    expect([new Set(keys).size, made]).toEqual([1, 1]);
  });

  it("makes another one for another image, and none where nothing is asked for", async () => {
    const first = await environments().build(FILES, dependencies, silently);
    image = "worker@sha256:2";
    const second = await environments().build(FILES, dependencies, silently);

    expect(second).not.toBe(first);
    expect(await environments().build(aProject({ "handler.py": "" }), dependencies, silently)).toBeNull();
  });

  it("refuses at once what no builder can install", async () => {
    const files = aProject({ "conda-packages.txt": "numpy\n" });

    const failed = await failureOf(environments().build(files, dependencies, silently));

    expect(failed.message).toMatch(/^conda-packages\.txt: conda packages are not installed here;/);
    expect(server.asked).toEqual([]);
  });

  it.each([
    [
      "what the installer said",
      { exitCode: 65, message: "requirements.txt: found x==9, which does not exist\nERROR: No matching\nERROR: bye" },
      ["requirements.txt: found x==9, which does not exist", "ERROR: No matching\nERROR: bye"],
    ],
    [
      "out of memory",
      { exitCode: 137, reason: "OOMKilled" },
      ["the environment's builder ran out of memory; raise compute.mem, or the pod template's", ""],
    ],
    [
      "another end, with its last lines",
      { exitCode: 1, message: "at readRequest\nError: store" },
      ["the environment could not be made: its builder ended with exit code 1", "at readRequest\nError: store"],
    ],
    ["no pod at all", undefined, ["the environment could not be made: too many pods", ""]],
  ])("tells %s when the Job fails", async (_, terminated, [message, tail]) => {
    onLook = () => {
      fails("too many pods", terminated);
    };

    const failed = await failureOf(environments().build(FILES, dependencies, silently));

    expect([failed.message, failed.outputTail]).toEqual([message, tail]);
  });

  it("says that it took too long", async () => {
    onLook = () => {
      fails("Job was active longer than specified deadline", undefined, "DeadlineExceeded");
    };

    const failed = await failureOf(environments().build(FILES, dependencies, silently));

    expect(failed.message).toContain("it took longer than 3600 s; ask for less, or bake it into the worker's image");
  });

  it("begins anew over the Job of an earlier try that failed", async () => {
    onLook = () => {
      fails("no", { exitCode: 65, message: "no" });
    };
    await failureOf(environments().build(FILES, dependencies, silently));
    onLook = (look) => {
      if (made === 2 && look === 2) void end();
    };

    expect(await environments().build(FILES, dependencies, silently)).toBe(current().key);
    expect(made).toBe(2);
    const removed = server.asked.filter(({ line }) => line.startsWith("DELETE "));
    expect(removed.map(({ body }) => body)).toEqual([{ preconditions: { uid: "uid-1" } }]);
  });

  it("looks at the pods of this very Job alone", async () => {
    await environments().build(FILES, dependencies, silently);

    const selectors = server.asked.filter(({ line }) => line.endsWith("/pods")).map(({ query }) => query);
    expect(new Set(selectors.map((query) => query.get("labelSelector")))).toEqual(
      new Set(["batch.kubernetes.io/controller-uid=uid-1"]),
    );
  });

  it("says why its builder waits, once", async () => {
    onLook = (look) => {
      const conditions = [{ type: "PodScheduled", status: "False", reason: "SchedulingGated" }];
      pods = [{ metadata: { uid: "p" }, spec: { containers: [] }, status: { phase: "Pending", conditions } }];
      if (look === 4) void end();
    };
    const said: string[] = [];

    await environments().build(FILES, dependencies, (sentence) => said.push(sentence));

    expect(said.slice(1)).toEqual([expect.stringMatching(/^the environment's builder waits: its pod is gated/)]);
  });

  it("waits for an API server that is away, and makes the Job again when it is gone", async () => {
    onLook = (look) => {
      if (made === 1 && look === 1) silent = 12;
      if (made === 1 && look === 2) job = undefined;
      if (made === 2) void end();
    };
    const said: string[] = [];

    expect(await environments().build(FILES, dependencies, (sentence) => said.push(sentence))).not.toBeNull();

    expect([made, silent]).toEqual([2, 0]);
    expect(said[1]).toContain("the Kubernetes API server did not answer");
  });

  it("tells what Kubernetes refuses for good from what it may grant later", async () => {
    refuseCreate = { status: 403, body: { message: "jobs is forbidden: a policy says no" } };

    const failed = await failureOf(environments().build(FILES, dependencies, silently));
    expect(failed.message).toContain("jobs is forbidden: a policy says no");

    refuseCreate = { status: 403, body: { message: "jobs.batch is forbidden: exceeded quota: few" } };
    await expect(environments().build(FILES, dependencies, silently)).rejects.toBeInstanceOf(Unwell);
  });
});
