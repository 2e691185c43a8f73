/** An SQS queue, as its ARN names it. */
export interface QueueAddress {
  readonly partition: string;
  readonly region: string;
  readonly account: string;
  readonly queue: string;
}

/** For people who gave something else. */
export const QUEUE_ARN_LIKE = "arn:aws:sqs:eu-west-1:123456789012:failed-batches";

/** Undefined for what is no ARN of an SQS queue. */
export function queueAddress(arn: string): QueueAddress | undefined {
  const parts = /^arn:(aws[a-z-]*):sqs:([a-z0-9-]+):(\d{12}):([\w-]{1,80}|[\w-]{1,75}\.fifo)$/.exec(arn);
  if (parts === null) return undefined;
  const [, partition = "", region = "", account = "", queue = ""] = parts;
  return { partition, region, account, queue };
}
