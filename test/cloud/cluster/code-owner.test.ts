/** Who says what code runs: a service as a process on a real control plane, and a stack's objects as Pulumi writes them. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { CoreV1Api, type V1PodTemplate } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pinnedObjects } from "../../../services/project/pinned-code.ts";
import { packFiles, sha256Hex } from "../../../services/project/project-files.ts";
import { readProjectSpec } from "../../../services/project/project-spec.ts";
import { codeOwnerText } from "../../../services/protocol/code-owner.ts";
import { ENV } from "../../../services/protocol/environment.ts";
import type { PodTemplate } from "../../../services/protocol/jobs.ts";
import { INIT } from "../../support/a-system.ts";
import { until } from "../../support/a-service.ts";
import { aProject } from "../../support/project-folder.ts";
import { buildWheel } from "../../support/python-wheel.ts";
import { BARE_API, BareCloud } from "../support/a-bare-cloud.ts";
import { STORE_BUCKET } from "../support/cloud-servers.ts";
import { leavingsOf } from "../support/leavings.ts";
import { S3_CREDENTIALS, S3_REGION } from "../support/s3-server.ts";

/** Tells the colour that its pods' template says, after a while. */
const TELLER = `import os, time\nclass Handler:\n${INIT}    def handle_batch(self, payload):
        time.sleep(payload[0])
        return [os.environ.get("COLOUR", "none")]
`;
const PINNED = codeOwnerText({ kind: "pinned", stack: "acme/batch/prod" });
const TEMPLATE = "bare-worker";

let cloud: BareCloud;
let s3: S3Client;
let core: CoreV1Api;
beforeAll(async () => {
  cloud = await BareCloud.start();
  core = cloud.plane.admin.makeApiClient(CoreV1Api);
  s3 = new S3Client({
    ...{ region: S3_REGION, credentials: S3_CREDENTIALS },
    ...{ endpoint: cloud.servers.s3Endpoint, forcePathStyle: true },
  });
});
afterAll(async () => {
  s3.destroy();
  await cloud.end();
  expect(leavingsOf(cloud.plane)).toEqual([]);
});

function template(): Promise<V1PodTemplate> {
  return core.readNamespacedPodTemplate({ namespace: cloud.namespace.name, name: TEMPLATE });
}

/** The declared template with that colour, and what else its worker is told. */
async function coloured(colour: string, more: Readonly<Record<string, string>> = {}): Promise<V1PodTemplate> {
  const declared = await template();
  const [worker] = declared.template?.spec?.containers ?? [];
  if (worker === undefined) throw new Error("the template has no worker");
  const values = { ...more, COLOUR: colour };
  const others = (worker.env ?? []).filter(({ name }) => !(name in values));
  worker.env = [...others, ...Object.entries(values).map(([name, value]) => ({ name, value }))];
  return declared;
}

async function declare(colour: string): Promise<void> {
  const body = await coloured(colour);
  await core.replaceNamespacedPodTemplate({ namespace: cloud.namespace.name, name: TEMPLATE, body });
}

async function version(): Promise<string> {
  const reply = await cloud.request(`/v1/apis/${BARE_API}`);
  return ((await reply.json()) as { version: string }).version;
}

const job = (...seconds: readonly number[]) => ({ workers: 1, item_list: { items: seconds, batch_size: 1 } });

async function resultsOf(...args: Parameters<BareCloud["ended"]>): Promise<readonly unknown[]> {
  const ended = await cloud.ended(...args);
  expect(ended).toMatchObject({ state: "succeeded" });
  return (await cloud.results(ended)).map(({ result }) => result);
}

/** Writes what a stack does, in its order and its way: plain objects, whatever was there. */
async function pin(colour: string, files: Readonly<Record<string, string | Buffer>>, more = {}): Promise<string> {
  const yaml = JSON.stringify({ name: BARE_API, handler: { type: "python", path: "handler.py" } });
  const project = new Map(aProject({ "millrace.yaml": yaml }));
  for (const [path, content] of Object.entries(files))
    project.set(path, { bytes: Buffer.from(content), executable: false });
  const read = readProjectSpec(project, BARE_API);
  if (read.kind !== "spec") throw new Error(JSON.stringify(read));
  const archive = await packFiles(project);
  const podTemplate = JSON.parse(JSON.stringify((await coloured(colour, more)).template)) as PodTemplate;
  const objects = pinnedObjects({ spec: read.spec, files: project, project: sha256Hex(archive), podTemplate });
  const put = (Key: string, Body: string | Buffer) =>
    s3.send(new PutObjectCommand({ Bucket: STORE_BUCKET, Key, Body }));
  await put(objects.archiveKey, archive);
  await put(objects.versionObject.key, objects.versionObject.content);
  await put(objects.currentObject.key, objects.currentObject.content);
  return objects.version;
}

describe("code that was deployed", () => {
  it("gets the template that is declared now, while jobs that were accepted keep theirs, through two changes", async () => {
    await declare("red");
    await cloud.startService();
    await cloud.whenReady();
    expect((await cloud.deploy(BARE_API, TELLER)).status).toBe(201);
    const red = await version();
    const before = await template();
    const jobs = [await cloud.submit(BARE_API, job(20, 0, 0)), await cloud.submit(BARE_API, job(20, 0))];
    jobs.push(await cloud.submit(BARE_API, job(0))); // waits: there are two lanes

    for (const colour of ["green", "blue"]) {
      const last = await version();
      await declare(colour);
      await until("the API's next version", async () => ((await version()) === last ? undefined : true), 60);
    }
    // the API server counts what is written to the template
    expect((await template()).metadata?.generation).toBe((before.metadata?.generation ?? 0) + 2);
    const blue = await cloud.submit(BARE_API, job(0));

    for (const early of jobs) expect(new Set(await resultsOf(early, 120))).toEqual(new Set(["red"]));
    expect(await resultsOf(blue, 60)).toEqual(["blue"]);
    expect((await cloud.job(jobs[2] ?? blue)).version).toBe(red);
    await cloud.proveAll();
  });
});

describe("a service with fewer lanes than before", () => {
  it("moves the jobs of lanes that are gone to one that is left", async () => {
    const jobs = [await cloud.submit(BARE_API, job(3, 3, 3)), await cloud.submit(BARE_API, job(3, 3, 3))];
    for (const one of jobs) await cloud.when(one, ({ state }) => state === "running", 60);

    await cloud.startService({ [ENV.lanes]: cloud.servers.laneUrls[0] ?? "" });
    await cloud.whenReady();

    for (const one of jobs) expect(await resultsOf(one, 120)).toHaveLength(3);
    await cloud.proveAll();
  });
});

describe("code that a stack owns", () => {
  beforeAll(async () => {
    await cloud.startService({ [ENV.code]: PINNED });
    await cloud.whenReady();
  });

  it("is what the stack wrote, at once, and no door changes it", async () => {
    const pinned = await pin("pinned", { "handler.py": TELLER });

    expect(await version()).toBe(pinned);
    expect(await resultsOf(await cloud.submit(BARE_API, job(0)), 60)).toEqual(["pinned"]);
    const refused = await cloud.deploy(BARE_API, TELLER);
    expect([refused.status, ((await refused.json()) as { detail: string }).detail]).toEqual([
      409,
      expect.stringContaining('belongs to stack acme/batch/prod: change the project there, and run "pulumi up"'),
    ]);
    const removed = await cloud.request(`/v1/apis/${BARE_API}`, { method: "DELETE" });
    expect([removed.status, await version()]).toEqual([409, pinned]);
    await cloud.proveAll();
  });

  it("has its environment built by the service: jobs wait for it in words, and run in it", async () => {
    const wheel = "greeting-1.0.0-py3-none-any.whl";
    await buildWheel(cloud.folder, "greeting", "1.0.0", "WORD = 'hello'\n");
    const handler = TELLER.replace("import os, time", "import os, time, greeting").replace(
      'os.environ.get("COLOUR", "none")',
      "greeting.WORD",
    );
    await pin(
      "pinned",
      {
        "handler.py": handler,
        "requirements.txt": `./${wheel}\n`,
        [wheel]: await readFile(join(cloud.folder, wheel)),
      },
      { PIP_NO_INDEX: "1" },
    );

    const submitted = await cloud.submit(BARE_API, job(0));
    await cloud.when(submitted, ({ message }) => message.includes("workers wait for their environment"), 60);

    expect(await resultsOf(submitted, 120)).toEqual(["hello"]);
    await cloud.proveAll();
  });

  // In pip's words where kubelets hand on what a container said last: environments.test.ts.
  it("says that its environment could not be built and is tried again, and a job that waits may be stopped", async () => {
    await pin("pinned", { "handler.py": TELLER, "requirements.txt": "nothing-like-it==1\n" }, { PIP_NO_INDEX: "1" });

    const submitted = await cloud.submit(BARE_API, job(0));
    await cloud.when(submitted, ({ message }) => message.includes("is tried again soon:"), 120);
    expect((await cloud.job(submitted)).message).toContain("the environment could not be made: its builder ended");

    expect((await cloud.stop(submitted)).status).toBe(202);
    expect((await cloud.ended(submitted, 60)).state).toBe("stopped");
    await cloud.proveAll();
  });
});
