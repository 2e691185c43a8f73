/** What handlers need: packages that a builder installs once for all workers, and containers of the user's own. */
import { mkdir } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { BatchV1Api, CoreV1Api } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { packFiles } from "../../../services/project/project-files.ts";
import { apiKeys } from "../../../services/protocol/keys.ts";
import { INIT } from "../../support/a-system.ts";
import { aProject } from "../../support/project-folder.ts";
import { API, CloudUnderTest } from "../support/a-cloud.ts";
import { leavingsOf } from "../support/leavings.ts";
import { freePorts } from "../support/loopback.ts";
import { PackageIndex } from "../support/package-index.ts";
import { describeOnRealNodes } from "../support/real-nodes.ts";

const GREETER = `import greeting\nclass Handler:\n${INIT}    def handle_batch(self, payload):\n        return [greeting.WORD] * len(payload)\n`;

/** A container that tells `EAR` of all that it is asked, and breaks the first time that an item says so. */
const CONTAINER = `
import http.server, json, os, time, urllib.request
def tell(**what):
    urllib.request.urlopen(urllib.request.Request(os.environ["EAR"], json.dumps(what).encode(), method="POST")).read()
class Answers(http.server.BaseHTTPRequestHandler):
    def reply(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.reply(200, None)
    def do_POST(self):
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        attempt = int(self.headers.get("X-Millrace-Attempt", 0))
        if self.path == "/on-job-complete":
            with open("/cortex/spec/job.json") as file:
                tell(complete=payload, job=json.load(file))
            return self.reply(200, None)
        tell(payload=payload, attempt=attempt, batch=self.headers["X-Millrace-Batch-ID"])
        if payload == ["bad"]:
            return self.reply(500, "no such item")
        if payload == ["die"] and attempt == 1:
            os._exit(3)
        if payload == ["hang"] and attempt == 1:
            time.sleep(3600)
        self.reply(200, [{"seen": item} for item in payload])
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["CORTEX_PORT"])), Answers).serve_forever()
`;

interface Told {
  readonly payload?: readonly unknown[];
  readonly attempt?: number;
  readonly complete?: object;
  readonly job?: Readonly<Record<string, unknown>>;
}

describeOnRealNodes("what handlers need", () => {
  let cloud: CloudUnderTest;
  let index: PackageIndex;
  beforeAll(async () => {
    cloud = await CloudUnderTest.start();
    const wheels = join(cloud.folder, "wheels");
    await mkdir(wheels);
    index = await PackageIndex.start(wheels);
    await index.add("greeting", "1.2.0", "WORD = 'hello'\n");
    await index.add("greeting", "1.3.0", "WORD = 'good day'\n");
    const values = { ...cloud.workerEnvironment, PIP_INDEX_URL: index.url };
    await cloud.declareTemplate({ env: Object.entries(values).map(([name, value]) => ({ name, value })) });
  });
  afterAll(async () => {
    await cloud.end();
    await index.stop();
    expect(leavingsOf(cloud.cluster.controlPlane)).toEqual([]);
  });

  /** Asks one replica to deploy a handler that greets by such a version of the package. */
  async function deploy(replica: number, version: string) {
    const yaml = JSON.stringify({ name: API, handler: { type: "python", path: "handler.py" } });
    const files = { "millrace.yaml": yaml, "handler.py": GREETER, "requirements.txt": `greeting==${version}\n` };
    const body = new Uint8Array(await packFiles(aProject(files)));
    const port = String(cloud.replicas[replica]?.port);
    const headers = { "content-type": "application/gzip" };
    const reply = await fetch(`http://127.0.0.1:${port}/v1/apis/${API}`, { method: "PUT", headers, body });
    const { code, detail } = (await reply.json()) as { code?: string; detail?: string };
    return { status: reply.status, code, detail };
  }

  async function greetings(): Promise<readonly unknown[]> {
    const job = await cloud.submit(API, { workers: 2, item_list: { items: [1, 2, 3, 4], batch_size: 1 } });
    const ended = await cloud.ended(job, 120);
    expect(ended).toMatchObject({ state: "succeeded", items: { succeeded: 4, failed: 0 } });
    return (await cloud.results(ended)).map(({ result }) => result);
  }

  /** Keys of the environments that were asked for so far. */
  async function askedFor(): Promise<readonly string[]> {
    const prefix = `${apiKeys(API).root}environments/`;
    const { entries } = await cloud.store.list(prefix);
    return [...new Set(entries.map(({ key }) => key.slice(prefix.length).split("/")[0] ?? ""))];
  }

  async function builderJobs() {
    const { items } = await cloud.cluster.admin
      .makeApiClient(BatchV1Api)
      .listNamespacedJob({ namespace: cloud.namespace.name });
    return items.filter(({ metadata }) => metadata?.name?.startsWith("environment-"));
  }

  it("installs once for two replicas that are asked at once, and for all later jobs and deployments", async () => {
    const replies = await Promise.all([deploy(0, "1.2.0"), deploy(1, "1.2.0")]);

    expect(replies.map(({ status }) => status).sort()).toEqual([200, 201]);
    expect(await builderJobs()).toHaveLength(1);
    expect(index.requests.filter((path) => path.endsWith(".whl"))).toHaveLength(1);
    expect(await greetings()).toEqual(["hello", "hello", "hello", "hello"]);

    const asked = index.requests.length;
    expect(await deploy(1, "1.2.0")).toMatchObject({ status: 200 });
    expect(await greetings()).toEqual(["hello", "hello", "hello", "hello"]);
    expect(index.requests).toHaveLength(asked);
    await cloud.proveAll();
  });

  it("says in pip's words what cannot be installed, and changes nothing", async () => {
    const before = await (await cloud.request(`/v1/apis/${API}`)).json();

    const refused = await deploy(0, "9.9");

    expect(refused).toMatchObject({ status: 422, code: "environment_failed" });
    expect(refused.detail).toMatch(/^requirements\.txt: found greeting==9\.9, which does not exist for Python/);
    expect(refused.detail).toContain("No matching distribution found for greeting==9.9");
    expect(await (await cloud.request(`/v1/apis/${API}`)).json()).toEqual(before);
  });

  it("builds again when the builder's pod is taken away", async () => {
    const before = await askedFor();
    const heard = index.hold();
    const deployed = deploy(0, "1.3.0");
    await heard;
    const core = cloud.cluster.admin.makeApiClient(CoreV1Api);
    const namespace = cloud.namespace.name;
    const { items } = await core.listNamespacedPod({ namespace, fieldSelector: "status.phase=Running" });
    const [pod] = items.filter(({ metadata }) => metadata?.name?.startsWith("environment-"));
    await core.deleteNamespacedPod({ namespace, name: pod?.metadata?.name ?? "" });
    // what a builder leaves that died while it packed
    const [building = ""] = (await askedFor()).filter((key) => !before.includes(key));
    const leftover = apiKeys(API).environmentPart(building, "dead", 0);
    await cloud.store.put(leftover, Buffer.from("a part"));
    index.release();

    expect(await deployed).toMatchObject({ status: 200 });
    expect(await cloud.store.get(leftover)).toBeUndefined();
    expect(await greetings()).toEqual(Array.from({ length: 4 }, () => "good day"));
    const builders = await builderJobs();
    expect(builders.some(({ status }) => status?.failed === 1)).toBe(true);
    await cloud.proveAll();
  });

  it("runs batches in the user's own container, which may die and hang", async () => {
    const told: Told[] = [];
    const ear = createServer((request, response) => {
      void text(request).then((body) => {
        told.push(JSON.parse(body) as Told);
        response.end();
      });
    });
    await new Promise<void>((resolve) => ear.listen(0, "127.0.0.1", resolve));
    const address = `http://127.0.0.1:${String((ear.address() as AddressInfo).port)}`;
    const [port] = await freePorts(1);
    const container = { name: "api", image: cloud.images.worker.tag, command: ["python3", "-c", CONTAINER] };
    const pod = { port, containers: [{ ...container, env: { EAR: address } }] };
    const config = { colour: "blue" };
    const deployed = await cloud.deploy(API, {}, { handler: undefined, pod, config, attempts: 2, batch_timeout: 3 });
    expect(deployed.status, await deployed.text()).toBe(200);

    const items = [0, "die", 2, "hang", 4, "bad", 6];
    // one worker: its containers listen at a port of the node
    const job = await cloud.submit(API, { workers: 1, item_list: { items, batch_size: 1 }, config: { size: 3 } });
    const ended = await cloud.ended(job, 240);
    ear.closeAllConnections();
    await new Promise((resolve) => ear.close(resolve));

    expect(ended).toMatchObject({ state: "completed_with_failures", items: { succeeded: 6, failed: 1 } });
    const rows = (await cloud.results(ended)).map(({ result }) => result);
    expect(rows).toEqual(items.filter((item) => item !== "bad").map((seen) => ({ seen })));
    expect(await cloud.errors(ended)).toMatchObject([{ index: 5, attempts: 2 }]);
    const attempts = (item: string) => {
      return told.flatMap(({ payload, attempt }) => (payload?.[0] === item ? [attempt] : []));
    };
    expect([attempts("die"), attempts("hang"), attempts("bad")]).toEqual([[1, 2], [1, 2], [1, 2]]); // prettier-ignore
    const completions = told.filter(({ complete }) => complete !== undefined);
    expect(completions).toMatchObject([
      {
        complete: { message: "job_complete" },
        job: { job_id: job.job_id, workers: 1, config: { colour: "blue", size: 3 } },
      },
    ]);
    await cloud.proveAll();
  });

  it("asks the servers for nothing but what the roles' policies are tested against", () => {
    expect(cloud.calls.heard("builder")).toBeGreaterThan(5);
    expect(cloud.calls.unknown()).toEqual([]);
  });
});
