/**
 * `node test/cloud/follow-a-job.ts`: runs one job in a whole cloud of this machine and prints, as sections of Markdown, what there is
 * to see of it: for docs/a-job-in-the-cloud.md. Needs what the cluster tests need.
 */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import type { StateRecord } from "../../services/protocol/jobs.ts";
import { apiKeys, jobKeys } from "../../services/protocol/keys.ts";
import { isFinal } from "../../services/protocol/states.ts";
import type { JobOnWire } from "../support/api-user.ts";
import { API, CloudUnderTest } from "./support/a-cloud.ts";
import { awaitWith } from "./support/cluster-process.ts";
import { DATA_BUCKET } from "./support/cloud-servers.ts";
import {
  apiServerRequests,
  difference,
  dollarsOf,
  priceOf,
  RequestCounter,
  type Bill,
} from "./support/request-bill.ts";
import { S3_CREDENTIALS, S3_REGION } from "./support/s3-server.ts";
import { ensureBinary } from "./support/servers-cache.ts";

const PHOTOS = 960;
const SUBMISSION = {
  workers: 2,
  delimited_files: { paths: [`s3://${DATA_BUCKET}/2026/`], batch_size: 10 },
  config: { model: "v3" },
};
const HANDLER = `import time

class Handler:
    def __init__(self, config, job_spec):
        print("model", job_spec["config"]["model"], "is loaded")

    def handle_batch(self, payload, batch_id):
        time.sleep(0.1)
        return [{"photo": photo["name"], "label": "cat" if photo["id"] % 3 else "dog"} for photo in payload]

    def on_job_complete(self):
        print("all photos have a label")
`;

const run = promisify(execFile);

function section(title: string, language: string, text: string): void {
  process.stdout.write(`### ${title}\n\n\`\`\`${language}\n${text.trimEnd()}\n\`\`\`\n\n`);
}

async function putPhotos(cloud: CloudUnderTest): Promise<void> {
  const client = new S3Client({
    ...{ region: S3_REGION, endpoint: cloud.servers.s3Endpoint, credentials: S3_CREDENTIALS, forcePathStyle: true },
  });
  const photos = Array.from({ length: PHOTOS }, (_, id) => JSON.stringify({ id, name: `photo-${String(id)}.jpg` }));
  for (const half of [0, 1]) {
    const Body = `${photos.slice((half * PHOTOS) / 2, ((half + 1) * PHOTOS) / 2).join("\n")}\n`;
    await client.send(new PutObjectCommand({ Bucket: DATA_BUCKET, Key: `2026/part-${String(half)}.jsonl`, Body }));
  }
  client.destroy();
}

async function kubectl(cloud: CloudUnderTest, ...args: readonly string[]): Promise<string> {
  const path = join(cloud.folder, "kubeconfig");
  await writeFile(path, cloud.cluster.admin.exportConfig(), { mode: 0o600 });
  const program = await ensureBinary("kubernetes");
  const all = ["kubectl", "--kubeconfig", path, "--namespace", cloud.namespace.name, ...args];
  return (await run(program, all)).stdout;
}

async function text(cloud: CloudUnderTest, key: string): Promise<string> {
  const record = await cloud.store.read(key);
  return (record ?? (await cloud.store.get(key)))?.bytes.toString() ?? "";
}

const pretty = (json: string): string => JSON.stringify(JSON.parse(json), null, 2);

/** Looked up past the proxy, so that waiting costs the job no request. */
async function whenStored(
  cloud: CloudUnderTest,
  job: JobOnWire,
  looks: (state: StateRecord) => boolean,
): Promise<void> {
  const key = jobKeys(API, job.job_id).state;
  await awaitWith(
    `the state of job ${job.job_id}`,
    [],
    async () => {
      const stored = await text(cloud, key);
      return stored !== "" && looks(JSON.parse(stored) as StateRecord);
    },
    240,
  );
}

async function whileItRuns(cloud: CloudUnderTest, job: JobOnWire): Promise<void> {
  await whenStored(cloud, job, ({ live }) => (live?.counts.batches_succeeded ?? 0) > PHOTOS / 10 / 3);
  section(
    "kubectl get jobs,pods",
    "text",
    await kubectl(cloud, "get", "jobs,pods", "-l", "millrace/job", "-o", "wide"),
  );
  const labels = ["-o", "jsonpath={.items[0].metadata.name}{'\\n'}{.items[0].metadata.labels}"];
  section("labels", "text", await kubectl(cloud, "get", "jobs", "-l", `millrace/job=${job.job_id}`, ...labels));
  section("lanes/0.json", "json", pretty(await text(cloud, apiKeys(API).lane(0))));
  const { state, batches, workers, rate_items_per_second: rate, message } = await cloud.job(job);
  section("GET job", "json", JSON.stringify({ state, batches, workers, rate, message }, null, 2));
}

async function whatIsLeft(cloud: CloudUnderTest, job: JobOnWire): Promise<void> {
  const keys = jobKeys(API, job.job_id);
  const { entries } = await cloud.store.list(apiKeys(API).root);
  const listed = entries.map(({ key, sizeBytes }) => `${String(sizeBytes).padStart(8)}  ${key}`);
  section("objects", "text", listed.join("\n"));
  section("state.json", "json", pretty(await text(cloud, keys.state)));
  section("splits/00000000.json", "json", (await text(cloud, keys.split(0))).slice(0, 600));
  const ledger = entries.find(({ key }) => key.startsWith(keys.ledgers))?.key ?? "";
  const lines = (await text(cloud, ledger)).split("\n");
  section(ledger, "json", [...lines.slice(0, 5), "…", ...lines.slice(-5)].join("\n"));
  section("manifest.json", "json", pretty(await text(cloud, keys.manifest)));
  section(
    "results",
    "json",
    (await cloud.results(job))
      .slice(0, 3)
      .map((row) => JSON.stringify(row))
      .join("\n"),
  );
  const logs = (await cloud.logs(job)).map(
    ({ worker, from, text: said }) => `${worker.padEnd(16)} ${from.padEnd(8)} ${said}`,
  );
  section("logs", "text", logs.join("\n"));
  section("lanes/0.json, after", "json", await text(cloud, apiKeys(API).lane(0)));
}

function printBill(busy: Bill, idle: Bill): void {
  const rows = [...new Set([...Object.keys(busy), ...Object.keys(idle)])].sort().map((what) => {
    const dollars = ((busy[what] ?? 0) * priceOf(what)).toFixed(6);
    return `| ${what} | ${String(busy[what] ?? 0)} | ${String(idle[what] ?? 0)} | ${dollars} |`;
  });
  process.stdout.write(
    `| request | with the job | without | dollars |\n| --- | --- | --- | --- |\n${rows.join("\n")}\n`,
  );
  process.stdout.write(`\n${dollarsOf(busy).toFixed(6)} with the job, ${dollarsOf(idle).toFixed(6)} without\n`);
}

async function follow(cloud: CloudUnderTest): Promise<void> {
  const counter = new RequestCounter(cloud.servers);
  await putPhotos(cloud);
  const deployed = await cloud.deploy(API, HANDLER);
  section("deploy", "json", `${String(deployed.status)} ${await deployed.text()}`);
  counter.take();
  const before = await apiServerRequests(cloud.cluster.admin);
  const startedMs = performance.now();
  const reply = await cloud.post(API, SUBMISSION);
  section("submit", "json", `${String(reply.status)} ${JSON.stringify(await reply.clone().json(), null, 2)}`);
  const job = (await reply.json()) as JobOnWire;
  await whileItRuns(cloud, job);
  await whenStored(cloud, job, ({ state }) => isFinal(state));
  const seconds = (performance.now() - startedMs) / 1000;
  const after = await apiServerRequests(cloud.cluster.admin);
  const busy = { ...counter.take(), ...difference(after, before) };
  await sleep(2_000); // the lane is freed, the Job deleted
  counter.take();
  const idleBefore = await apiServerRequests(cloud.cluster.admin);
  await sleep(seconds * 1000);
  const idle = { ...counter.take(), ...difference(await apiServerRequests(cloud.cluster.admin), idleBefore) };
  section("ended", "json", JSON.stringify(await cloud.job(job), null, 2));
  await whatIsLeft(cloud, job);
  process.stdout.write(`${seconds.toFixed(1)} s from submission to end\n\n`);
  printBill(busy, idle);
}

const cloud = await CloudUnderTest.start();
try {
  await follow(cloud);
} finally {
  await cloud.end();
}
