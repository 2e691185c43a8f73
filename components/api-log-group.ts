/** Where an API's workers and its service write what they say. */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { Faults } from "./faults.ts";
import { ownTags, type Tags } from "./tags.ts";

export interface ApiLogGroupArgs {
  /** How long lines are kept, days: one of `LOG_RETENTION_DAYS`; default 30. */
  readonly retentionDays?: number;
  /** Key of your own; its policy must allow CloudWatch Logs to use it. Default: keys that CloudWatch manages. */
  readonly kmsKeyArn?: pulumi.Input<string>;
  readonly tags?: Tags;
}

/** What CloudWatch Logs takes, days (PutRetentionPolicy). */
export const LOG_RETENTION_DAYS: readonly number[] = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];
const RETENTION_DAYS = 30;

/**
 * The log group of one API; its workers make a stream each.
 *
 *     const logs = new ApiLogGroup("image-classifier", { retentionDays: 14 });
 */
export class ApiLogGroup extends pulumi.ComponentResource {
  readonly logGroupName: pulumi.Output<string>;
  readonly logGroupArn: pulumi.Output<string>;

  constructor(name: string, args: ApiLogGroupArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    const { retentionDays = RETENTION_DAYS, kmsKeyArn } = args;
    const faults = new Faults(`ApiLogGroup "${name}"`);
    const fault = logRetentionFault(retentionDays);
    if (fault !== undefined) faults.add("retentionDays", fault);
    faults.throwIfAny();
    super("millrace:index:ApiLogGroup", name, {}, opts);
    const group = new aws.cloudwatch.LogGroup(
      `${name}-logs`,
      {
        retentionInDays: retentionDays,
        ...(kmsKeyArn === undefined ? {} : { kmsKeyId: kmsKeyArn }),
        tags: ownTags("ApiLogGroup", name, args.tags),
      },
      { parent: this },
    );
    this.logGroupName = group.name;
    this.logGroupArn = group.arn;
    this.registerOutputs({ logGroupName: this.logGroupName });
  }
}

/** What is wrong with a retention; undefined: nothing. */
export function logRetentionFault(days: number): string | undefined {
  if (LOG_RETENTION_DAYS.includes(days)) return undefined;
  const longer = LOG_RETENTION_DAYS.find((allowed) => allowed > days) ?? LOG_RETENTION_DAYS.at(-1);
  return `is ${String(days)}, which CloudWatch Logs does not take; write ${String(longer)}, or another of ${LOG_RETENTION_DAYS.join(", ")}`;
}
