/** What `millrace doctor` looks at where the variables of a cluster's service are set: the store, the lanes and the logs. */
import type * as S3Sdk from "@aws-sdk/client-s3";
import type { LifecycleRule, S3Client } from "@aws-sdk/client-s3";
import { SqsQueue } from "../../services/backends/batch-queue.sqs.ts";
import { S3Store } from "../../services/backends/object-store.s3.ts";
import { s3AccessFrom } from "../../services/backends/s3/s3-requests.ts";
import { readServiceConfig, type ServiceConfig } from "../../services/batch-api/config.ts";
import { ENV, Misconfigured } from "../../services/protocol/environment.ts";
import { apiKeys, queueLane } from "../../services/protocol/keys.ts";
import { FOREVER } from "../../services/protocol/retention.ts";
import { credentialsIn } from "../bucket-store.ts";
import type { Cli } from "../cli.ts";
import type { Finding } from "../finding.ts";

/** Batches of a lane travel in messages of up to so many bytes. */
const MESSAGE_BYTES_MIN = 1_048_576;
/** Hand-backs and takeovers count as receives: a redrive policy with fewer takes pointers away from living jobs. */
const RECEIVES_MIN = 1_000;
/** Who waits for a doctor wants an answer, not patience. */
const BUDGET = { attemptsMax: 2, seconds: 5, credentialsSeconds: 0, firstCredentialsSeconds: 0 };
const LEASE_SECONDS = 10;

type Result = Finding["result"];

/** Each finding is independent of the others; nothing is changed. */
export async function cloudFindings(cli: Cli): Promise<readonly Finding[]> {
  const { environment } = cli;
  let config: ServiceConfig;
  try {
    config = readServiceConfig(environment);
  } catch (error) {
    if (!(error instanceof Misconfigured)) throw error;
    return error.message.split("\n").map((says) => ({ name: "settings", result: "fail" as const, says }));
  }
  const looked = await Promise.all([
    store(cli, config),
    ...config.laneUrls.map((url, lane) => laneFinding(cli, config, url, lane)),
    logGroup(cli, config),
  ]);
  return [
    finding("settings", "ok", `every variable that the service of API ${config.api} needs`),
    finding(
      "retention",
      "ok",
      `results ${inDays(config.retention.resultsDays)}, records ${inDays(config.retention.recordsDays)}`,
    ),
    ...looked.flat(),
  ];
}

function inDays(days: number | null): string {
  return days === null ? FOREVER : `${String(days)} days`;
}

async function store(cli: Cli, { api, bucket, region }: ServiceConfig): Promise<readonly Finding[]> {
  const access = { ...s3AccessFrom(cli.environment), region, ...credentialsIn(cli.environment) };
  const root = apiKeys(api).root;
  const reached = await attempt("bucket", async () => {
    const { clock, random } = cli;
    await new S3Store({ bucket, access, clock, random, budget: BUDGET }).list(root, { limit: 1 });
    return finding("bucket", "ok", `s3://${bucket} answers in ${region}`);
  });
  if (reached.result === "fail") return [reached];
  const sdk = await import("@aws-sdk/client-s3");
  const client = new sdk.S3Client({ ...access, forcePathStyle: access.endpoint !== undefined, maxAttempts: 2 });
  try {
    const rules = await rulesOf(sdk, client, bucket);
    const expires =
      rules.known && rules.rules.some((rule) => covers(rule, root) && rule.NoncurrentVersionExpiration !== undefined);
    return [reached, lifecycle(rules, bucket, root), await versioning(sdk, client, bucket, expires)];
  } finally {
    client.destroy();
  }
}

type Rules =
  { readonly known: true; readonly rules: readonly LifecycleRule[] } | { readonly known: false; readonly why: string };

async function rulesOf(
  { GetBucketLifecycleConfigurationCommand }: typeof S3Sdk,
  client: S3Client,
  bucket: string,
): Promise<Rules> {
  try {
    const { Rules: rules = [] } = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: bucket }));
    return { known: true, rules: rules.filter(({ Status }) => Status === "Enabled") };
  } catch (error) {
    if (nameOf(error) === "NoSuchLifecycleConfiguration") return { known: true, rules: [] };
    return { known: false, why: nameOf(error) };
  }
}

function lifecycle(found: Rules, bucket: string, root: string): Finding {
  const name = "lifecycle";
  if (!found.known) {
    const fix = `grant s3:GetLifecycleConfiguration on ${bucket} to whoever asks, or see that none expires ${root}`;
    return finding(name, "warn", `the bucket's lifecycle rules cannot be read (${found.why}): ${fix}`);
  }
  const harms = found.rules.filter((rule) => covers(rule, root) && (expiresObjects(rule) || archivesObjects(rule)));
  if (harms.length === 0)
    return finding(name, "ok", `no rule of ${bucket} expires or archives what lies under ${root}`);
  const named = harms.map(({ ID }) => JSON.stringify(ID ?? "without a name")).join(", ");
  const says = `lifecycle rule ${named} of ${bucket} expires or archives objects under ${root}, ledgers of living jobs among them`;
  return finding(name, "warn", `${says}: limit it to another prefix`);
}

/** As far as it says what it is about; old rules have their prefix beside the filter. */
type RuleScope = Pick<LifecycleRule, "Filter"> & { readonly Prefix?: string | undefined };

/** Our objects have no tags: a rule that asks for some passes them by. */
function covers({ Filter: filter, Prefix: old }: RuleScope, root: string): boolean {
  if (filter?.Tag !== undefined || (filter?.And?.Tags ?? []).length > 0) return false;
  const prefix = filter?.And?.Prefix ?? filter?.Prefix ?? old ?? "";
  return root.startsWith(prefix) || prefix.startsWith(root);
}

function expiresObjects({ Expiration: expiration }: LifecycleRule): boolean {
  return expiration?.Days !== undefined || expiration?.Date !== undefined;
}

function archivesObjects({ Transitions: transitions = [] }: LifecycleRule): boolean {
  return transitions.some(({ StorageClass }) => StorageClass === "GLACIER" || StorageClass === "DEEP_ARCHIVE");
}

async function versioning(
  { GetBucketVersioningCommand }: typeof S3Sdk,
  client: S3Client,
  bucket: string,
  expires: boolean,
): Promise<Finding> {
  const name = "versions";
  try {
    const { Status } = await client.send(new GetBucketVersioningCommand({ Bucket: bucket }));
    if (Status !== "Enabled") return finding(name, "ok", `${bucket} keeps no former versions of objects`);
    if (expires) return finding(name, "ok", `${bucket} keeps former versions of objects, and a rule expires them`);
    const why = "each append writes its object anew, so that former versions pile up and are paid for";
    return finding(name, "warn", `${bucket} has versioning on: ${why}; suspend it, or expire noncurrent versions`);
  } catch (error) {
    const fix = `grant s3:GetBucketVersioning on ${bucket} to whoever asks`;
    return finding(name, "warn", `whether ${bucket} keeps former versions cannot be read (${nameOf(error)}): ${fix}`);
  }
}

async function laneFinding(cli: Cli, config: ServiceConfig, url: string, lane: number): Promise<Finding> {
  const name = `lane ${String(lane)}`;
  return attempt(name, async () => {
    const { clock, random } = cli;
    const common = { region: config.region, ...credentialsIn(cli.environment) };
    const queue = new SqsQueue({ ...common, clock, random, queueUrls: config.laneUrls, leaseSeconds: LEASE_SECONDS });
    await queue.probe(queueLane(config.api, lane));
    const { GetQueueAttributesCommand, SQSClient } = await import("@aws-sdk/client-sqs");
    const client = new SQSClient({ ...common, endpoint: new URL(url).origin, maxAttempts: 2 });
    const command = new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ["All"] });
    const { Attributes: attributes = {} } = await client.send(command).finally(() => {
      client.destroy();
    });
    const faults = queueFaults(attributes);
    return finding(
      name,
      faults.length === 0 ? "ok" : "warn",
      faults.length === 0 ? `${url} answers` : faults.join("; "),
    );
  });
}

function queueFaults(attributes: Readonly<Partial<Record<string, string>>>): readonly string[] {
  const faults: string[] = [];
  const bytes = Number(attributes["MaximumMessageSize"] ?? MESSAGE_BYTES_MIN);
  if (bytes < MESSAGE_BYTES_MIN) {
    faults.push(
      `it takes messages of ${String(bytes)} bytes at most: set MaximumMessageSize to ${String(MESSAGE_BYTES_MIN)}`,
    );
  }
  const receives = receivesOf(attributes["RedrivePolicy"]);
  if (receives !== undefined && receives < RECEIVES_MIN) {
    const says = `its redrive policy takes a message away after ${String(receives)} receives, and hand-backs count as receives`;
    faults.push(`${says}: remove it, or set maxReceiveCount to ${String(RECEIVES_MIN)}`);
  }
  if (attributes["FifoQueue"] === "true")
    faults.push("it is a FIFO queue, which is slower and costs more: make it a standard one");
  return faults;
}

/** SQS writes the policy as JSON, its count as a number or a text. */
function receivesOf(policy: string | undefined): number | undefined {
  if (policy === undefined) return undefined;
  const { maxReceiveCount } = JSON.parse(policy) as { readonly maxReceiveCount?: number | string };
  return maxReceiveCount === undefined ? undefined : Number(maxReceiveCount);
}

async function logGroup(cli: Cli, { logGroup: group, region }: ServiceConfig): Promise<Finding> {
  const name = "logs";
  const endpoint = cli.environment["AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"] ?? cli.environment[ENV.awsEndpoint];
  const { CloudWatchLogsClient, DescribeLogGroupsCommand } = await import("@aws-sdk/client-cloudwatch-logs");
  const client = new CloudWatchLogsClient({
    ...{ region, maxAttempts: 2, ...credentialsIn(cli.environment) },
    ...(endpoint === undefined ? {} : { endpoint, disableHostPrefix: true }),
  });
  try {
    const { logGroups = [] } = await client.send(new DescribeLogGroupsCommand({ logGroupNamePrefix: group }));
    if (logGroups.some(({ logGroupName }) => logGroupName === group)) return finding(name, "ok", `${group} is there`);
    return finding(
      name,
      "fail",
      `log group ${group} does not exist in ${region}: create it, or correct ${ENV.logGroup}`,
    );
  } catch (error) {
    const fix = "grant logs:DescribeLogGroups to whoever asks, and check the endpoint and the network";
    return finding(name, "warn", `whether log group ${group} is there cannot be read (${nameOf(error)}): ${fix}`);
  } finally {
    client.destroy();
  }
}

/** A backend's own sentence when it does not answer. */
async function attempt(name: string, look: () => Promise<Finding>): Promise<Finding> {
  try {
    return await look();
  } catch (error) {
    return finding(name, "fail", error instanceof Error ? error.message : String(error));
  }
}

/** The command's own environment counts, where it holds keys; else the SDK's default chain finds them. */
function finding(name: string, result: Result, says: string): Finding {
  return { name, result, says };
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : "no answer";
}
