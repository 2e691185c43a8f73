/** The servers of the cloud's protocols that a whole service needs, each behind a proxy that can break what passes. */
import { CloudWatchLogsClient, CreateLogGroupCommand } from "@aws-sdk/client-cloudwatch-logs";
import { CreateQueueCommand, SQSClient } from "@aws-sdk/client-sqs";
import { FaultProxy } from "./fault-proxy.ts";
import { startMinistack } from "./ministack.ts";
import { S3_CREDENTIALS, S3_REGION, startS3Server } from "./s3-server.ts";
import { queueUrlAt, startSqsServer } from "./sqs-server.ts";

export const STORE_BUCKET = "millrace-store";
/** Where the tests put what jobs read. */
export const DATA_BUCKET = "acme-data";
export const LOG_GROUP = "/millrace/test";

export interface CloudServers {
  readonly proxies: { readonly s3: FaultProxy; readonly sqs: FaultProxy; readonly logs: FaultProxy };
  /** Queue URLs of the lanes, through the proxy. */
  readonly laneUrls: readonly string[];
  /** What a process is told so that its SDKs find them, credentials included. */
  readonly environment: Readonly<Record<string, string>>;
  /** S3 itself, past the proxy: for what a test looks at. */
  readonly s3Endpoint: string;
  deleteLane(lane: number): Promise<void>;
  /** Makes those lanes again that were deleted. */
  restoreLanes(): Promise<void>;
  /** A queue of that name, beside the lanes. */
  makeLane(name: string): Promise<void>;
  stop(): Promise<void>;
}

/** Starts them with empty buckets, so many queues and a log group. */
export async function startCloudServers(lanes: number): Promise<CloudServers> {
  const [s3, sqs, ministack] = await Promise.all([
    startS3Server([STORE_BUCKET, DATA_BUCKET]),
    startSqsServer(),
    startMinistack(),
  ]);
  const proxies = {
    s3: await FaultProxy.start({ target: s3.endpoint }),
    sqs: await FaultProxy.start({ target: sqs.endpoint }),
    logs: await FaultProxy.start({ target: ministack.endpoint }),
  };
  const common = { region: S3_REGION, credentials: S3_CREDENTIALS };
  const queues = new SQSClient({ ...common, endpoint: sqs.endpoint });
  const directUrls: string[] = [];
  const makeLane = (lane: number) => queues.send(new CreateQueueCommand({ QueueName: `lane-${String(lane)}` }));
  for (let lane = 0; lane < lanes; lane += 1) directUrls.push(queueUrlAt(sqs, (await makeLane(lane)).QueueUrl ?? ""));
  const logs = new CloudWatchLogsClient({ ...common, endpoint: ministack.endpoint, disableHostPrefix: true });
  await logs.send(new CreateLogGroupCommand({ logGroupName: LOG_GROUP }));
  logs.destroy();
  return {
    proxies,
    laneUrls: directUrls.map((url) => new URL(new URL(url).pathname, proxies.sqs.endpoint).href),
    s3Endpoint: s3.endpoint,
    environment: {
      AWS_REGION: S3_REGION,
      AWS_ACCESS_KEY_ID: S3_CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: S3_CREDENTIALS.secretAccessKey,
      AWS_ENDPOINT_URL_S3: proxies.s3.endpoint,
      AWS_ENDPOINT_URL_SQS: proxies.sqs.endpoint,
      AWS_ENDPOINT_URL_CLOUDWATCH_LOGS: proxies.logs.endpoint,
    },
    async makeLane(name) {
      await queues.send(new CreateQueueCommand({ QueueName: name }));
    },
    async restoreLanes() {
      for (let lane = 0; lane < lanes; lane += 1) await makeLane(lane);
    },
    async deleteLane(lane) {
      const { DeleteQueueCommand } = await import("@aws-sdk/client-sqs");
      await queues.send(new DeleteQueueCommand({ QueueUrl: directUrls[lane] }));
    },
    async stop() {
      queues.destroy();
      await Promise.all([proxies.s3.stop(), proxies.sqs.stop(), proxies.logs.stop()]);
      await Promise.all([s3.stop(), sqs.stop(), ministack.stop()]);
    },
  };
}
