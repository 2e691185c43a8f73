import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { FilterLogEventsCommand, CloudWatchLogsClient } from "@aws-sdk/client-cloudwatch-logs";
import {
  DeleteObjectCommand,
  GetBucketPolicyCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { DeleteMessageBatchCommand, SQSClient } from "@aws-sdk/client-sqs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CallRecorder, SERVICE_MARK, WORKER_MARK } from "./call-recorder.ts";
import { DATA_BUCKET, LOG_GROUP, STORE_BUCKET } from "./cloud-servers.ts";
import { FaultProxy } from "./fault-proxy.ts";

/** As Kubernetes leaves it in a pod that is told an epoch, and in one that is not. */
const [SERVICE] = Object.values(SERVICE_MARK);
const [BUILDER = ""] = Object.values(WORKER_MARK);
const WORKER = BUILDER.replace("$(MILLRACE_EPOCH)", "12");
const JOB = "apis/photos/jobs/fe65c1a2b3c4d5e6/";

describe("the recorder of calls", () => {
  let target: Server;
  let proxies: { readonly s3: FaultProxy; readonly sqs: FaultProxy; readonly logs: FaultProxy };
  let recorder: CallRecorder;
  beforeEach(async () => {
    target = createServer((request, response) => {
      request.resume().once("end", () => response.writeHead(403).end());
    });
    await new Promise<void>((resolve) => target.listen(0, "127.0.0.1", resolve));
    const options = { target: `http://127.0.0.1:${String((target.address() as AddressInfo).port)}` };
    const [s3, sqs, logs] = await Promise.all([1, 2, 3].map(() => FaultProxy.start(options)));
    if (s3 === undefined || sqs === undefined || logs === undefined) throw new Error("three were started");
    proxies = { s3, sqs, logs };
    recorder = new CallRecorder({ proxies }, false);
  });
  afterEach(async () => {
    await Promise.all(Object.values(proxies).map((proxy) => proxy.stop()));
    target.closeAllConnections();
    await new Promise((resolve) => target.close(resolve));
  });

  const clientOf = (proxy: FaultProxy, role: string | undefined) => ({
    ...{ region: "us-east-1", endpoint: proxy.endpoint, maxAttempts: 1, forcePathStyle: true, disableHostPrefix: true },
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    ...(role === undefined ? {} : { userAgentAppId: role }),
  });
  async function s3(role: string | undefined, ask: (client: S3Client) => Promise<unknown>): Promise<void> {
    const client = new S3Client(clientOf(proxies.s3, role));
    await ask(client).catch(() => undefined); // refused, as all are
    client.destroy();
  }

  it("tells who made a call that nobody was seen to make", async () => {
    const Key = `${JOB}spec.json`;
    await s3(WORKER, (client) =>
      client.send(new PutObjectCommand({ Bucket: STORE_BUCKET, Key, Body: "{}", IfNoneMatch: "*" })),
    );
    await s3(BUILDER, (client) => client.send(new HeadObjectCommand({ Bucket: DATA_BUCKET, Key: "2026/a" })));
    await s3(SERVICE, (client) => client.send(new GetBucketPolicyCommand({ Bucket: STORE_BUCKET })));
    await s3(SERVICE, (client) => client.send(new ListObjectsV2Command({ Bucket: STORE_BUCKET })));
    await s3(undefined, (client) => client.send(new DeleteObjectCommand({ Bucket: STORE_BUCKET, Key })));

    expect(recorder.unknown()).toEqual([
      "service: GET store  policy",
      "service: s3:ListBucket store ",
      "worker: s3:PutObject store apis/{api}/jobs/{job}/spec.json",
      "builder: s3:GetObject data 2026/a",
    ]);
    expect((["service", "worker", "builder"] as const).map((role) => recorder.heard(role))).toEqual([2, 2, 1]);
  });

  it("knows calls that were seen, whatever job, worker and lane they are about", async () => {
    const Key = `${JOB}ledger/3-1-0-0a1b2c3d-00000004`;
    const group = { logGroupName: LOG_GROUP, logStreamNamePrefix: "fe65c1a2b3c4d5e6/" };
    const logs = new CloudWatchLogsClient(clientOf(proxies.logs, SERVICE));
    const sqs = new SQSClient(clientOf(proxies.sqs, WORKER));
    await s3(WORKER, (client) =>
      client.send(new PutObjectCommand({ Bucket: STORE_BUCKET, Key, Body: "x", IfMatch: '"e"' })),
    );
    await s3(SERVICE, (client) =>
      client.send(new ListObjectsV2Command({ Bucket: STORE_BUCKET, Prefix: `${JOB}ledger/` })),
    );
    await logs.send(new FilterLogEventsCommand(group)).catch(() => undefined);
    const Entries = [{ Id: "0", ReceiptHandle: "r" }];
    const QueueUrl = `${proxies.sqs.endpoint}/000000000000/lane-3`;
    await sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries })).catch(() => undefined);
    logs.destroy();
    sqs.destroy();

    expect(recorder.unknown()).toEqual([]);
    expect((["service", "worker", "builder"] as const).map((role) => recorder.heard(role))).toEqual([2, 3, 0]);
  });
});
