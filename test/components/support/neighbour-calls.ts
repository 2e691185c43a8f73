/** Calls on and around the API that `api-rights.test.ts` renders: those that stand beside what its roles may do. */
import type { Call } from "./policy-simulator.ts";
import type { ApiPlace, Role } from "./recorded-calls.ts";

export const STORE = "arn:aws:s3:::acme-store";
export const SQS = "arn:aws:sqs:eu-west-1:123456789012";
const LOGS = "arn:aws:logs:eu-west-1:123456789012:log-group";
export const KMS = "arn:aws:kms:eu-west-1:123456789012:key";
export const PLACE: ApiPlace = {
  api: "photos",
  storeArn: STORE,
  dataArn: "arn:aws:s3:::acme-data",
  laneArns: ["photos-lane-0-1234567", "photos-lane-1-1234567"].map((name) => `${SQS}:${name}`),
  logGroupArn: `${LOGS}:photos-logs-1234567`,
};
const LANE = `${SQS}:photos-lane-1-1234567`;
export const BY_S3 = { "kms:ViaService": "s3.eu-west-1.amazonaws.com" };
export const BY_SQS = { "kms:ViaService": "sqs.eu-west-1.amazonaws.com" };

/** `s3:GetObject apis/photos/x` of the store; several actions with commas between. */
function ofStore(...calls: readonly string[]): readonly Call[] {
  return calls.flatMap((call) => {
    const [actions = "", key = ""] = call.split(" ");
    return actions.split(",").map((action) => ({ action: `s3:${action}`, resource: `${STORE}/${key}` }));
  });
}

function listing(bucketArn: string, ...prefixes: readonly string[]): readonly Call[] {
  const context = (prefix: string) => ({ "s3:prefix": prefix });
  return prefixes.map((prefix) => ({ action: "s3:ListBucket", resource: bucketArn, context: context(prefix) }));
}

export function calls(resource: string, ...actions: readonly string[]): readonly Call[] {
  return actions.map((action) => ({ action, resource }));
}

const LANE_ACTIONS = ["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]; // prettier-ignore
const LANE_CHANGES = ["sqs:PurgeQueue", "sqs:DeleteQueue", "sqs:SetQueueAttributes", "sqs:AddPermission", "sqs:StartMessageMoveTask"]; // prettier-ignore
const LOG_ACTIONS = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:FilterLogEvents", "logs:GetLogEvents"];
const LOG_CHANGES = ["logs:DeleteLogGroup", "logs:PutRetentionPolicy", "logs:PutSubscriptionFilter"]; // prettier-ignore
const BUCKET_CHANGES = ["s3:DeleteBucket", "s3:PutBucketPolicy", "s3:PutLifecycleConfiguration", "s3:PutBucketAcl", "s3:PutEncryptionConfiguration"]; // prettier-ignore
const WRITES = ["PutObject", "DeleteObject", "DeleteObjectVersion", "PutObjectAcl", "PutObjectTagging", "DeleteObjectTagging", "AbortMultipartUpload", "RestoreObject", "PutObjectRetention", "ReplicateObject"]; // prettier-ignore
/** Log groups and lanes that only look like the API's own. */
const OTHER_GROUPS = ["letters-logs-1234567", "photos-logs-12345678", "photos"].map((name) => `${LOGS}:${name}:log-stream:a/b`); // prettier-ignore
const OTHER_LANES = ["letters-lane-0-1234567", "photos-lane-1-12345678", "photos-dead-letters-0-1234567"].map((name) => `${SQS}:${name}`); // prettier-ignore

/** What no role of the API may do. */
export const NOBODYS: readonly Call[] = [
  ...["letters", "photos2", "photo"].flatMap((api) => [
    ...ofStore(`GetObject,PutObject,DeleteObject apis/${api}/jobs/1/spec.json`),
    ...ofStore(
      `GetObject,PutObject apis/${api}/versions/1.json`,
      `GetObject,PutObject apis/${api}/environments/e/end.json`,
    ),
    ...listing(STORE, `apis/${api}/`, `apis/${api}/environments/`),
  ]),
  ...ofStore("GetObject,PutObject,DeleteObject apis/photos", "GetObject,PutObject other/apis/photos/jobs/1/spec.json"),
  ...ofStore("DeleteObjectVersion,PutObjectAcl,PutObjectTagging,GetObjectVersion apis/photos/jobs/1/spec.json"),
  ...calls("arn:aws:s3:::acme-store2/apis/photos/jobs/1/spec.json", "s3:GetObject", "s3:PutObject"),
  ...listing(STORE, "", "a", "apis", "apis/", "apis/p", "apis/photos"),
  ...listing("arn:aws:s3:::acme-store2", "apis/photos/"),
  ...calls(STORE, "s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketPolicy", ...BUCKET_CHANGES),
  ...OTHER_LANES.flatMap((lane) => calls(lane, ...LANE_ACTIONS)),
  ...calls(LANE, ...LANE_CHANGES),
  ...OTHER_GROUPS.flatMap((group) => calls(group, ...LOG_ACTIONS)),
  ...calls(`${PLACE.logGroupArn}:log-stream:a/b`, "logs:GetLogEvents", "logs:DeleteLogStream"),
  ...calls(PLACE.logGroupArn, ...LOG_CHANGES),
  ...calls("arn:aws:iam::123456789012:role/admin", "iam:PassRole", "sts:AssumeRole"),
  ...calls("arn:aws:s3:::acme-private/2026/a", "s3:GetObject", "s3:PutObject"),
  ...calls(`${KMS}/other`, "kms:Decrypt", "kms:GenerateDataKey").map((call) => ({ ...call, context: BY_S3 })),
  ...calls(`${KMS}/store`, "kms:Decrypt", "kms:Encrypt", "kms:CreateGrant", "kms:PutKeyPolicy"), // not by S3
];

/** What one role may not do, though another one may. */
export const NOT_FOR: Readonly<Record<Role, readonly Call[]>> = {
  service: [
    ...calls(LANE, "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"),
    ...calls(`${SQS}:acme-failed`, "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
    ...["arn:aws:s3:::acme-data/2026/a", "arn:aws:s3:::acme-all/a", "arn:aws:s3:::acme-labels/photos/a"].flatMap(
      (object) => calls(object, ...WRITES.map((write) => `s3:${write}`)),
    ),
    ...calls("arn:aws:s3:::acme-data/2025/a", "s3:GetObject"),
    ...calls("arn:aws:s3:::acme-labels/photos/a", "s3:GetObject"),
    ...listing("arn:aws:s3:::acme-data", "", "2", "2026", "2025/"),
    ...listing("arn:aws:s3:::acme-labels", "photos/"),
    { action: "kms:GenerateDataKey", resource: `${KMS}/data`, context: BY_S3 },
    { action: "kms:Decrypt", resource: `${KMS}/lanes`, context: BY_S3 },
  ],
  worker: [
    ...calls(LANE, "sqs:SendMessage", "sqs:GetQueueAttributes"),
    ...calls(`${SQS}:acme-failed`, ...LANE_ACTIONS),
    ...calls(`${PLACE.logGroupArn}:log-stream:a/b`, "logs:FilterLogEvents"),
    ...ofStore("DeleteObject apis/photos/jobs/1/ledger/w-0", "DeleteObject apis/photos/jobs/1/results/w-0.ndjson"),
    ...[
      "spec.json",
      "state.json",
      "stop.json",
      "cut.json",
      "manifest.json",
      "splits/1.json",
      "input/items-0.ndjson",
    ].flatMap((name) => ofStore(`PutObject,DeleteObject apis/photos/jobs/1/${name}`)),
    ...["parts/a.ndjson", "index/0.json", "verdicts/1-0"].flatMap((name) =>
      ofStore(`PutObject apis/photos/jobs/1/${name}`),
    ),
    ...[
      "current.json",
      "versions/1.json",
      "projects/1.tar.gz",
      "environments/e/end.json",
      "lanes/0.json",
      "active/1",
    ].flatMap((name) => ofStore(`PutObject,DeleteObject apis/photos/${name}`)),
    ...ofStore(
      "GetObject,PutObject apis/photos/keys/1",
      "GetObject apis/photos/current.json",
      "GetObject apis/photos/active/1",
    ),
    ...["arn:aws:s3:::acme-data/2026/a", "arn:aws:s3:::acme-all/a"].flatMap((object) =>
      calls(object, ...WRITES.map((write) => `s3:${write}`)),
    ),
    ...calls("arn:aws:s3:::acme-data/2025/a", "s3:GetObject"),
    ...calls("arn:aws:s3:::acme-labels/photos/a", "s3:GetObject", "s3:DeleteObject", "s3:PutObjectAcl"),
    ...calls("arn:aws:s3:::acme-labels/letters/a", "s3:PutObject"),
    ...listing("arn:aws:s3:::acme-labels", "photos/"),
    { action: "kms:GenerateDataKey", resource: `${KMS}/lanes`, context: BY_SQS },
  ],
  builder: [
    ...ofStore(
      "GetObject apis/photos/versions/1.json",
      "GetObject apis/photos/projects/1.tar.gz",
      "GetObject apis/photos/lanes/0.json",
    ),
    ...ofStore("GetObject,PutObject,DeleteObject apis/photos/jobs/1/spec.json", "PutObject apis/photos/environments"),
    ...listing(STORE, "apis/photos/", "apis/photos/environments", "apis/photos/jobs/"),
    ...calls(LANE, ...LANE_ACTIONS),
    ...calls(`${PLACE.logGroupArn}:log-stream:a/b`, ...LOG_ACTIONS),
    ...calls("arn:aws:s3:::acme-data/2026/a", "s3:GetObject"),
    ...listing("arn:aws:s3:::acme-data", "2026/"),
    { action: "kms:Decrypt", resource: `${KMS}/data`, context: BY_S3 },
  ],
};
