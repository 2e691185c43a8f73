/**
 * Rights on AWS, one function a thing that a pod does. Each answers statements of an IAM policy, for `BatchApi`'s `permissions` and
 * for `PodRole`:
 *
 *     permissions: [...readDataset(["s3://acme-models/"]), ...useKeys([key.arn], "reading")]
 *
 * What service, workers and builders of an API are given together stands in `api-rights.ts`.
 */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { apiKeys, jobKeys } from "../services/protocol/keys.ts";
import { datasetLocations, type DatasetLocation } from "./dataset-locations.ts";
import { Faults } from "./faults.ts";

/** A statement of an IAM policy, with AWS's own field names. */
export type Statement = aws.iam.PolicyStatement;
type Arn = pulumi.Input<string>;
/** Of some of a kind; a `WorkQueue` tells its own all together. */
type Arns = readonly Arn[] | pulumi.Output<string[]>;

/** Parts of buckets: as `s3://bucket/prefix/`, or parsed already. */
type Locations = readonly (string | DatasetLocation)[];

/** One API's part of a store. */
export interface ApiObjects {
  readonly bucketArn: Arn;
  readonly api: string;
}

/** Puts pointers into lanes, and asks whether they are there. Batches of messages need no right of their own. */
export function sendBatches(queueArns: Arns): readonly Statement[] {
  return allow(["sqs:SendMessage", "sqs:GetQueueAttributes"], queueArns);
}

/** Takes pointers from lanes, holds them, and acknowledges them or hands them back; never sends. */
export function consumeBatches(queueArns: Arns): readonly Statement[] {
  return allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"], queueArns);
}

/** Sends what failed for good to queues that somebody else reads. */
export function sendDeadLetters(queueArns: Arns): readonly Statement[] {
  return allow(["sqs:SendMessage"], queueArns);
}

/** Reads, writes and removes all that there is of an API. */
export function writeApiObjects({ bucketArn, api }: ApiObjects): readonly Statement[] {
  return allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], [extended(bucketArn, `/${apiKeys(api).root}*`)]);
}

/** Reads what workers read: versions, code, environments, lanes and jobs of an API, not its keys and its other records. */
export function readApiObjects({ bucketArn, api }: ApiObjects): readonly Statement[] {
  const { root, versions, lanes, jobs } = apiKeys(api);
  const prefixes = [versions, `${root}projects/`, `${root}environments/`, lanes, jobs];
  return allow(
    ["s3:GetObject"],
    prefixes.map((prefix) => extended(bucketArn, `/${prefix}*`)),
  );
}

/** Writes what workers write of jobs: ledgers, results, errors, what came of batches taken apart, and how the completion hook ended. */
export function writeJobObjects({ bucketArn, api }: ApiObjects): readonly Statement[] {
  const { root, ledgers, isolations, completion } = jobKeys(api, "*");
  const keys = [`${ledgers}*`, `${root}results/*`, `${root}errors/*`, `${isolations}*`, completion];
  return allow(
    ["s3:PutObject"],
    keys.map((key) => extended(bucketArn, `/${key}`)),
  );
}

/**
 * Lists an API's keys. Who reads needs it too: S3 calls a key that does not exist denied to whoever may not list it, and takes
 * the key itself for the prefix then.
 */
export function listApiObjects({ bucketArn, api }: ApiObjects): readonly Statement[] {
  return list(bucketArn, [`${apiKeys(api).root}*`]);
}

/** Makes environments, and removes what other builders of the same one left. */
export function buildEnvironments({ bucketArn, api }: ApiObjects): readonly Statement[] {
  const prefix = `${apiKeys(api).root}environments/*`;
  const objects = extended(bucketArn, `/${prefix}`);
  return [...allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], [objects]), ...list(bucketArn, [prefix])];
}

/**
 * Reads the objects of datasets, in any bucket of the partition.
 *
 * @throws {pulumi.InputPropertyError} when a URI names no part of a bucket
 */
export function readDataset(locations: Locations, partition = ownPartition()): readonly Statement[] {
  return allow(["s3:GetObject"], objectsOf(located("readDataset", locations), partition));
}

/** Lists the objects of datasets, and sees that one is gone. Throws as `readDataset`. */
export function listDataset(locations: Locations, partition = ownPartition()): readonly Statement[] {
  const parts = located("listDataset", locations);
  const buckets = [...new Set(parts.map(({ bucket }) => bucket))];
  return buckets.flatMap((bucket) => {
    const prefixes = parts.filter((one) => one.bucket === bucket).map(({ prefix }) => `${prefix}*`);
    return list(bucketArn(bucket, partition), prefixes.includes("*") ? [] : prefixes);
  });
}

/** Writes objects, in parts where a client does so; reads, lists and removes none. Throws as `readDataset`. */
export function writeDataset(locations: Locations, partition = ownPartition()): readonly Statement[] {
  return allow(["s3:PutObject", "s3:AbortMultipartUpload"], objectsOf(located("writeDataset", locations), partition));
}

/** Writes lines into streams of a log group, and makes these. */
export function writeLogs(logGroupArn: Arn): readonly Statement[] {
  return allow(["logs:CreateLogStream", "logs:PutLogEvents"], [extended(logGroupArn, ":*")]);
}

/** Reads lines of a log group. */
export function readLogs(logGroupArn: Arn): readonly Statement[] {
  return allow(["logs:FilterLogEvents"], [extended(logGroupArn, ":*")]);
}

/**
 * Uses keys of one's own through services that encrypt with them (default S3) and ask for them with the pod's rights: `reading` decrypts,
 * `writing` asks for fresh data keys as well. A key of another account must allow it too.
 */
export function useKeys(
  keyArns: Arns,
  purpose: "reading" | "writing",
  through: "s3" | "sqs" = "s3",
): readonly Statement[] {
  const actions = purpose === "reading" ? ["kms:Decrypt"] : ["kms:Decrypt", "kms:GenerateDataKey"];
  return allow(actions, keyArns, { StringLike: { "kms:ViaService": `${through}.*` } });
}

/** None where there is nothing to allow it for: IAM refuses a statement without resources. */
function allow(
  actions: readonly string[],
  resources: Arns,
  condition?: Readonly<Record<string, Readonly<Record<string, string | string[]>>>>,
): readonly Statement[] {
  if (Array.isArray(resources) && resources.length === 0) return [];
  const statement: Statement = { Effect: "Allow", Action: [...actions], Resource: resources as pulumi.Input<Arn[]> };
  return [condition === undefined ? statement : { ...statement, Condition: condition }];
}

/** @param prefixes none: the whole bucket */
function list(bucket: Arn, prefixes: readonly string[]): readonly Statement[] {
  if (prefixes.length === 0) return allow(["s3:ListBucket"], [bucket]);
  return allow(["s3:ListBucket"], [bucket], { StringLike: { "s3:prefix": [...prefixes] } });
}

function ownPartition(): pulumi.Input<string> {
  return aws.getPartitionOutput().partition;
}

function located(what: string, locations: Locations): readonly DatasetLocation[] {
  const faults = new Faults(what);
  const parsed = locations.flatMap((one, at) => {
    return typeof one === "string" ? datasetLocations("locations", [one], faults, at) : [one];
  });
  faults.throwIfAny();
  return parsed;
}

function objectsOf(locations: readonly DatasetLocation[], partition: pulumi.Input<string>): readonly Arn[] {
  return locations.map(({ bucket, prefix }) => extended(bucketArn(bucket, partition), `/${prefix}*`));
}

function bucketArn(bucket: string, partition: pulumi.Input<string>): Arn {
  return typeof partition === "string"
    ? `arn:${partition}:s3:::${bucket}`
    : pulumi.interpolate`arn:${partition}:s3:::${bucket}`;
}

/** Plain where it can be, so that a policy's length can be told before anything exists. */
function extended(arn: Arn, suffix: string): Arn {
  return typeof arn === "string" ? arn + suffix : pulumi.interpolate`${arn}${suffix}`;
}
