/** What service, workers and builders of one API may do on AWS: docs/operations.md, "Rights on AWS", as statements. */
import type * as pulumi from "@pulumi/pulumi";
import type { DatasetLocation } from "./dataset-locations.ts";
import type { Faults } from "./faults.ts";
import { POLICY_CHARACTERS_MAX, policyCharacters } from "./policy-size.ts";
import {
  buildEnvironments,
  consumeBatches,
  listApiObjects,
  listDataset,
  readApiObjects,
  readDataset,
  readLogs,
  sendBatches,
  sendDeadLetters,
  useKeys,
  writeApiObjects,
  writeDataset,
  writeJobObjects,
  writeLogs,
  type Statement,
} from "./statements.ts";

export interface ApiRightsArgs {
  /** A `BatchStore`. */
  readonly store: {
    readonly bucketArn: pulumi.Input<string>;
    /** Key of one's own that encrypts the bucket. */
    readonly kmsKeyArn?: pulumi.Input<string> | undefined;
  };
  readonly api: string;
  /** A `WorkQueue`'s. */
  readonly laneArns: readonly pulumi.Input<string>[] | pulumi.Output<string[]>;
  /** Key of one's own that encrypts the lanes' messages. */
  readonly laneKeyArn?: pulumi.Input<string> | undefined;
  readonly logGroupArn: pulumi.Input<string>;
  readonly reads: readonly DatasetLocation[];
  readonly writes: readonly DatasetLocation[];
  /** Keys of one's own that encrypt what is read and written there; default none. */
  readonly datasetKeyArns?: readonly pulumi.Input<string>[];
  readonly deadLetterQueueArns: readonly pulumi.Input<string>[];
  /** `aws.getPartitionOutput().partition`. */
  readonly partition: pulumi.Input<string>;
}

/** Statements for the policies of three roles. */
export interface ApiRights {
  readonly service: readonly Statement[];
  /** Handlers have them too; what the user allows beside them (`permissions`) goes behind them. */
  readonly worker: readonly Statement[];
  readonly builder: readonly Statement[];
}

/** No more than this is used, and a test holds it against the calls that were recorded of real runs. */
export function apiRights(args: ApiRightsArgs): ApiRights {
  const { laneArns, logGroupArn, reads, writes, datasetKeyArns = [], partition } = args;
  const objects = { bucketArn: args.store.bucketArn, api: args.api };
  const laneKeys = args.laneKeyArn === undefined ? [] : [args.laneKeyArn];
  const storeKey = args.store.kmsKeyArn === undefined ? [] : useKeys([args.store.kmsKeyArn], "writing");
  return {
    service: [
      ...writeApiObjects(objects),
      ...listApiObjects(objects),
      ...readDataset(reads, partition),
      ...listDataset(reads, partition),
      ...sendBatches(laneArns),
      ...sendDeadLetters(args.deadLetterQueueArns),
      ...writeLogs(logGroupArn),
      ...readLogs(logGroupArn),
      ...storeKey,
      ...useKeys(datasetKeyArns, "reading"),
      ...useKeys(laneKeys, "writing", "sqs"),
    ],
    worker: [
      ...readApiObjects(objects),
      ...writeJobObjects(objects),
      ...listApiObjects(objects),
      ...readDataset(reads, partition),
      ...writeDataset(writes, partition),
      ...consumeBatches(laneArns),
      ...writeLogs(logGroupArn),
      ...storeKey,
      ...useKeys(datasetKeyArns, writes.length === 0 ? "reading" : "writing"),
      ...useKeys(laneKeys, "reading", "sqs"),
    ],
    builder: [...buildEnvironments(objects), ...storeKey],
  };
}

/** What decides how long the policies get, as plain values. */
export interface RightsSize {
  readonly api: string;
  /** Name of its `WorkQueue`. */
  readonly queueName: string;
  readonly lanes: number;
  readonly reads: readonly DatasetLocation[];
  readonly writes: readonly DatasetLocation[];
  readonly deadLetterQueues: number;
  readonly datasetKeys?: number;
  /** Whether store and lanes are encrypted with keys of one's own; default false. */
  readonly ownKeys?: boolean;
  /** The user's own. */
  readonly permissions: readonly Statement[];
}

/** As long as they get: in the partition and region with the longest names, and with the digits that Pulumi adds to names. */
const PARTITION = "aws-us-gov";
const REGION_AND_ACCOUNT = `${"r".repeat(15)}:${"0".repeat(12)}`;
const DIGITS = "-1234567";
const BUCKET = `arn:${PARTITION}:s3:::${"b".repeat(63)}`;
const LOG_GROUP = `arn:${PARTITION}:logs:${REGION_AND_ACCOUNT}:log-group:${"g".repeat(128)}`;
const KEY = `arn:${PARTITION}:kms:${REGION_AND_ACCOUNT}:key/mrk-${"k".repeat(32)}`;
const queueArn = (name: string) => `arn:${PARTITION}:sqs:${REGION_AND_ACCOUNT}:${name}`;
/** A queue of somebody else. */
const ANY_QUEUE = queueArn("q".repeat(80));
/** Of a value in the user's own statements that is known only later: about an ARN. */
const UNKNOWN_CHARACTERS = 100;

/**
 * Adds a fault when a policy could get longer than IAM takes; what is not known yet counts as long as it gets. The fault goes to the
 * property that takes the most room. Some 90 lanes fit, or 50 locations.
 */
export function checkRightsSize(faults: Faults, size: RightsSize): void {
  const { service, worker } = longestRights(size);
  const policies = { service, workers: [...worker, ...size.permissions] };
  for (const [who, statements] of Object.entries(policies)) {
    const characters = policyCharacters(statements, UNKNOWN_CHARACTERS);
    if (characters <= POLICY_CHARACTERS_MAX) continue;
    const [property, advice] = largestPart(size);
    const [found, most] = [characters, POLICY_CHARACTERS_MAX].map((count) => count.toLocaleString("en"));
    faults.add(
      property,
      `makes the policy of the ${who} up to ${found ?? ""} characters long, and IAM takes ${most ?? ""}; ${advice}`,
    );
    return;
  }
}

function longestRights(size: RightsSize): ApiRights {
  const { api, queueName, lanes, reads, writes, deadLetterQueues, datasetKeys = 0, ownKeys = false } = size;
  return apiRights({
    ...{
      api,
      reads,
      writes,
      store: { bucketArn: BUCKET, kmsKeyArn: ownKeys ? KEY : undefined },
      laneKeyArn: ownKeys ? KEY : undefined,
      logGroupArn: LOG_GROUP,
      partition: PARTITION,
    },
    laneArns: Array.from({ length: lanes }, (_, lane) => queueArn(`${queueName}-lane-${String(lane)}${DIGITS}`)),
    deadLetterQueueArns: Array.from({ length: deadLetterQueues }, () => ANY_QUEUE),
    datasetKeyArns: Array.from({ length: datasetKeys }, () => KEY),
  });
}

/** The property that takes the most room, and what to do about it. */
function largestPart(size: RightsSize): readonly [property: string, advice: string] {
  const { service, worker } = longestRights({ ...size, lanes: 0, reads: [], writes: [], deadLetterQueues: 0 });
  const bare = policyCharacters([...service, ...worker], 0);
  const roomOf = (only: Partial<RightsSize>) => {
    const nothing = { ...size, lanes: 0, reads: [], writes: [], deadLetterQueues: 0, permissions: [] };
    const rights = longestRights({ ...nothing, ...only });
    return policyCharacters([...rights.service, ...rights.worker], 0) - bare;
  };
  const parts = [
    {
      room: roomOf({ lanes: size.lanes }),
      property: "concurrentJobsMax",
      advice: "write a smaller number: each lane is named in it",
    },
    {
      room: roomOf({ reads: size.reads }),
      property: "reads",
      advice: "name fewer prefixes that hold these, or their bucket",
    },
    {
      room: roomOf({ writes: size.writes }),
      property: "writes",
      advice: "name fewer prefixes that hold these, or their bucket",
    },
    {
      room: roomOf({ deadLetterQueues: size.deadLetterQueues }),
      property: "deadLetterQueues",
      advice: "name fewer queues",
    },
    {
      room: policyCharacters(size.permissions, UNKNOWN_CHARACTERS),
      property: "permissions",
      advice: "join statements, or allow what is beyond it by the resources' own policies",
    },
  ];
  const largest = parts.reduce((most, part) => (part.room > most.room ? part : most));
  return [largest.property, largest.advice];
}
