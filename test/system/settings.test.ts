/** What the service's program does with settings that only requests show: over a store, with nothing else that it leans on. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { encodeCurrent, encodeVersion } from "../../services/protocol/api-version.ts";
import { ENV } from "../../services/protocol/environment.ts";
import { apiKeys } from "../../services/protocol/keys.ts";
import { freePorts } from "../cloud/support/loopback.ts";
import { startServiceProcess, type ServiceProcess } from "../cloud/support/service-process.ts";
import { until } from "../support/a-service.ts";
import { aVersion } from "../support/builders.ts";
import { startFakeS3, type FakeS3 } from "../support/fake-s3.ts";

let folder: string;
let s3: FakeS3;
let service: ServiceProcess | undefined;
let address: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-settings-"));
});
beforeEach(async () => {
  s3 = await startFakeS3();
  const version = aVersion();
  const keys = apiKeys(version.api);
  s3.objects.set(keys.version(version.version), Buffer.from(encodeVersion(version)));
  s3.objects.set(keys.current, Buffer.from(encodeCurrent({ version: version.version, generation: 0 })));
});
afterEach(async () => {
  service?.kill("SIGKILL");
  await service?.ended;
  service = undefined;
  await s3.close();
});
afterAll(() => rm(folder, { recursive: true }));

async function start(settings: Readonly<Record<string, string>>): Promise<void> {
  const [port = 0, healthPort = 0, nobody = 0] = await freePorts(3);
  const server = `http://127.0.0.1:${String(nobody)}`;
  const kubeconfig = join(folder, "kubeconfig");
  const clusters = [{ name: "c", cluster: { server } }];
  const contexts = [{ name: "c", context: { cluster: "c", user: "u" } }];
  const config = { apiVersion: "v1", kind: "Config", "current-context": "c", clusters, contexts, users: [] };
  await writeFile(kubeconfig, JSON.stringify({ ...config, users: [{ name: "u", user: {} }] }));
  const started = startServiceProcess({
    ...{ [ENV.api]: "digits", [ENV.store]: "s3://data", [ENV.logGroup]: "/millrace/digits" },
    ...{ [ENV.lanes]: `${server}/1/digits-0`, [ENV.namespace]: "batch", [ENV.podTemplate]: "workers" },
    ...{ [ENV.port]: String(port), [ENV.healthPort]: String(healthPort), KUBECONFIG: kubeconfig },
    ...{ AWS_REGION: "eu-central-1", AWS_ACCESS_KEY_ID: "somebody", AWS_SECRET_ACCESS_KEY: "secret" },
    ...{ [ENV.awsEndpoint]: server, [ENV.awsS3Endpoint]: s3.endpoint, ...settings },
  });
  service = started;
  address = `http://127.0.0.1:${String(port)}`;
  // it has asked all that it leans on; that most of it does not answer is told by its health
  await until("its doors", async () => {
    if (started.hasEnded()) throw new Error(started.said());
    const status = await fetch(`${address}/v1/apis`).then(
      (answer) => answer.status,
      () => 503,
    );
    return status === 200 ? true : undefined;
  });
}

async function submit(workers: number): Promise<{ readonly status: number; readonly text: string }> {
  const body = JSON.stringify({ workers, item_list: { items: [1], batch_size: 1 } });
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${address}/v1/apis/digits/jobs`, { method: "POST", headers, body });
  return { status: answer.status, text: await answer.text() };
}

async function deployTo(api: string): Promise<string> {
  const headers = { "content-type": "application/gzip" };
  const answer = await fetch(`${address}/v1/apis/${api}`, { method: "PUT", headers, body: "no project" });
  return answer.text();
}

describe("the settings of a service", () => {
  it("say how many workers a job may ask for, and that no other API may be made", async () => {
    await start({ [ENV.workersMax]: "3" });

    expect(await submit(4)).toMatchObject({
      status: 400,
      text: expect.stringContaining("ask for at most 3, which is what this API's owner allows") as string,
    });
    expect((await submit(3)).status).toBe(202);
    expect(await deployTo("words")).toContain('This service stands for API \\"digits\\" alone');
  });

  it("say that other APIs may be made beside it", async () => {
    await start({ [ENV.createApisMax]: "1" });

    // it is looked into, and no project
    expect(await deployTo("words")).toContain("The project archive does not read as gzip");
    const { status } = await fetch(`${address}/v1/apis/words`);
    expect(status).toBe(404);
  });
});
