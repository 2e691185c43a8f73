/** The lanes of an API: one SQS queue for each job that may run at the same time. */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { Faults } from "./faults.ts";
import { ownTags, type Tags } from "./tags.ts";

export interface WorkQueueArgs {
  /** How many jobs may run at once, 1 to 100. Queues without messages cost nothing. */
  readonly lanes: number;
  /** Key of your own that encrypts the messages; default: keys that SQS manages. Messages hold pointers, never items. */
  readonly kmsKeyArn?: pulumi.Input<string>;
  /** Told when a message went astray, for example ARNs of SNS topics; default nobody: the alarm is only seen. */
  readonly alarmActions?: readonly pulumi.Input<string>[];
  readonly tags?: Tags;
}

export const LANES_MAX = 100;
/** What a redrive-allow policy can name (SQS, RedriveAllowPolicy). */
const SOURCES_PER_DEAD_LETTER_QUEUE = 10;
/**
 * Drains and Spot interruptions hand healthy pointers back, which counts as a receive. So many are a runaway; even then the
 * ledgers know what is missing, and the driver sends it again.
 */
const RECEIVES_MAX = 1_000;
const RETENTION_SECONDS = 14 * 24 * 3600;
const ALARM_PERIOD_SECONDS = 300;

/** What SQS is asked of every queue here; its own defaults are smaller, and do not wait. */
const QUEUE = {
  messageRetentionSeconds: RETENTION_SECONDS,
  maxMessageSize: 1_048_576,
  receiveWaitTimeSeconds: 20,
  // each receive says its own; this one counts for who looks by hand
  visibilityTimeoutSeconds: 60,
};

/**
 * The queues that hand out the batches of an API's running jobs, and where a message goes that nobody could ever settle.
 *
 *     const queue = new WorkQueue("image-classifier", { lanes: 4 });
 *
 * Owns standard queues (encrypted, reached by TLS alone), a dead-letter queue for each ten of them, and an alarm on its depth.
 * Nothing depends on their counts: fewer lanes than before are allowed, and jobs of removed ones move to another.
 */
export class WorkQueue extends pulumi.ComponentResource {
  /** In the order of the lanes: lane n is the n-th, counted from 0. */
  readonly laneUrls: pulumi.Output<string[]>;
  readonly laneArns: pulumi.Output<string[]>;
  readonly deadLetterQueueUrls: pulumi.Output<string[]>;

  constructor(name: string, args: WorkQueueArgs, opts?: pulumi.ComponentResourceOptions) {
    const faults = new Faults(`WorkQueue "${name}"`);
    faults.integer("lanes", args.lanes, { min: 1, max: LANES_MAX });
    faults.throwIfAny();
    super("millrace:index:WorkQueue", name, {}, opts);
    const tags = ownTags("WorkQueue", name, args.tags);
    const encryption =
      args.kmsKeyArn === undefined ? { sqsManagedSseEnabled: true } : { kmsMasterKeyId: args.kmsKeyArn };
    const lanes: aws.sqs.Queue[] = [];
    const deadLetterQueues: aws.sqs.Queue[] = [];
    for (let first = 0; first < args.lanes; first += SOURCES_PER_DEAD_LETTER_QUEUE) {
      const ten = deadLetterQueues.length;
      const dead = new aws.sqs.Queue(
        `${name}-dead-letters-${String(ten)}`,
        { ...QUEUE, ...encryption, tags },
        { parent: this },
      );
      const redrivePolicy = pulumi.jsonStringify({ deadLetterTargetArn: dead.arn, maxReceiveCount: RECEIVES_MAX });
      const sources = range(first, Math.min(first + SOURCES_PER_DEAD_LETTER_QUEUE, args.lanes)).map(
        (lane) =>
          new aws.sqs.Queue(
            `${name}-lane-${String(lane)}`,
            { ...QUEUE, ...encryption, redrivePolicy, tags },
            { parent: this },
          ),
      );
      this.#guard(`${name}-dead-letters-${String(ten)}`, dead, sources, args);
      deadLetterQueues.push(dead);
      lanes.push(...sources);
    }
    for (const [lane, queue] of lanes.entries()) this.#onlyByTls(`${name}-lane-${String(lane)}`, queue);
    this.laneUrls = pulumi.all(lanes.map(({ url }) => url));
    this.laneArns = pulumi.all(lanes.map(({ arn }) => arn));
    this.deadLetterQueueUrls = pulumi.all(deadLetterQueues.map(({ url }) => url));
    this.registerOutputs({ laneUrls: this.laneUrls });
  }

  /** Only its lanes may send to it, and who looks is told that something came. */
  #guard(name: string, dead: aws.sqs.Queue, sources: readonly aws.sqs.Queue[], args: WorkQueueArgs): void {
    this.#onlyByTls(name, dead);
    new aws.sqs.RedriveAllowPolicy(
      `${name}-sources`,
      {
        queueUrl: dead.url,
        redriveAllowPolicy: pulumi.jsonStringify({
          redrivePermission: "byQueue",
          sourceQueueArns: sources.map(({ arn }) => arn),
        }),
      },
      { parent: this },
    );
    new aws.cloudwatch.MetricAlarm(
      `${name}-alarm`,
      {
        alarmDescription:
          "A batch's message was received 1,000 times without an end: look at its job's workers and logs.",
        namespace: "AWS/SQS",
        metricName: "ApproximateNumberOfMessagesVisible",
        dimensions: { QueueName: dead.name },
        statistic: "Maximum",
        comparisonOperator: "GreaterThanThreshold",
        threshold: 0,
        period: ALARM_PERIOD_SECONDS,
        evaluationPeriods: 1,
        treatMissingData: "notBreaching",
        alarmActions: [...(args.alarmActions ?? [])],
        tags: ownTags("WorkQueue", name, args.tags),
      },
      { parent: this },
    );
  }

  #onlyByTls(name: string, queue: aws.sqs.Queue): void {
    const policy = pulumi.jsonStringify({
      Version: "2012-10-17",
      Statement: [
        {
          Sid: "OnlyByTls",
          Effect: "Deny",
          Principal: "*",
          Action: "sqs:*",
          Resource: queue.arn,
          Condition: { Bool: { "aws:SecureTransport": "false" } },
        },
      ],
    });
    new aws.sqs.QueuePolicy(`${name}-policy`, { queueUrl: queue.url, policy }, { parent: this });
  }
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, at) => from + at);
}
