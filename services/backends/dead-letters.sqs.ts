import { ENV } from "../protocol/environment.ts";
import { queueAddress, type QueueAddress } from "../protocol/queue-arn.ts";
import { LaneGone } from "./batch-queue.ts";
import type { Clock, Random } from "./clock.ts";
import { isAwsGiven } from "./dataset.s3.ts";
import { DeadLetterQueueUnwell, type DeadLetter, type DeadLetterQueues, type ReturnedLetter } from "./dead-letters.ts";
import { GROUP_BYTES_MAX, GROUP_ENTRIES_MAX, type Body } from "./sqs/bodies.ts";
import { CallWindow } from "./sqs/call-window.ts";
import { isTemporary, SqsCalls, type SqsCall } from "./sqs/calls.ts";
import { SqsError } from "./sqs/faults.ts";
import { settleGroup } from "./sqs/groups.ts";
import { SqsRequests, type SqsCredentials } from "./sqs/requests.ts";

export interface SqsDeadLettersOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Where all queues are asked, in place of AWS's own hosts. */
  readonly endpoint?: string;
  /** Undefined: the SDK's own default chain. */
  readonly credentials?: SqsCredentials;
  /** How long one call is tried again while SQS throttles or does not answer; default 10 seconds. */
  readonly patienceSeconds?: number;
}

/** As a process's environment variables say; undefined when they give neither credentials nor an endpoint. */
export function deadLettersFromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  clocks: Pick<SqsDeadLettersOptions, "clock" | "random">,
): SqsDeadLetters | undefined {
  if (!isAwsGiven(environment)) return undefined;
  return new SqsDeadLetters({ ...clocks, ...sqsEndpointFrom(environment) });
}

export function sqsEndpointFrom(
  environment: Readonly<Record<string, string | undefined>>,
): Pick<SqsDeadLettersOptions, "endpoint"> {
  const endpoint = environment[ENV.awsSqsEndpoint] ?? environment[ENV.awsEndpoint];
  return endpoint === undefined ? {} : { endpoint };
}

/**
 * Queues of SQS, standard and FIFO, in any account and region that the credentials may send to. To a FIFO queue a letter's id is
 * group and deduplication id, so that copies within five minutes are one, and letters wait for no other.
 */
export class SqsDeadLetters implements DeadLetterQueues {
  readonly #options: SqsDeadLettersOptions;
  readonly #calls: SqsCalls;
  readonly #requests = new Map<string, SqsRequests>();

  constructor(options: SqsDeadLettersOptions) {
    this.#options = options;
    this.#calls = new SqsCalls({
      clock: options.clock,
      random: options.random,
      window: new CallWindow(1),
      onRequest: () => undefined,
      onNotice: () => undefined, // what is wrong is told by the job
      renewCredentials: (url) => this.#at(url).renewCredentials(url),
    });
  }

  async send(arn: string, letters: readonly DeadLetter[]): Promise<readonly ReturnedLetter[]> {
    const address = queueAddress(arn);
    if (address === undefined) throw new DeadLetterQueueUnwell("that is no ARN of an SQS queue", false);
    const url = this.#urlOf(address);
    this.#requestsIn(address.region, url);
    const untilMs = this.#options.clock.monotonicMs() + 1000 * (this.#options.patienceSeconds ?? 10);
    const call: SqsCall = { kind: "send", lane: arn, url, untilMs };
    const returned: ReturnedLetter[] = [];
    for (const group of groupsOf(letters, address.queue.endsWith(".fifo"))) {
      returned.push(...(await this.#sendGroup(call, group)));
    }
    return returned;
  }

  async close(): Promise<void> {
    for (const requests of new Set(this.#requests.values())) await requests.close();
  }

  async #sendGroup(call: SqsCall, group: readonly Body[]): Promise<readonly ReturnedLetter[]> {
    const { url } = call;
    try {
      const refusals = await settleGroup(this.#calls, call, group, (bodies) => this.#at(url).send(url, bodies));
      const late = refusals.find(({ senderFault }) => !senderFault);
      if (late !== undefined) throw new DeadLetterQueueUnwell(`it does not take letters for now (${late.code})`, true);
      return refusals.map(({ entry, code }) => ({ index: entry.index, code }));
    } catch (error) {
      if (error instanceof LaneGone) throw new DeadLetterQueueUnwell("it does not exist", false, { cause: error });
      if (!(error instanceof SqsError)) throw error;
      if (error.fault !== "refused") throw unwell(error);
      // One of them spoils the request (a queue may allow less than SQS does): the others go without it.
      if (group.length === 1) return group.map(({ index }) => ({ index, code: error.code }));
      const alone: ReturnedLetter[] = [];
      for (const body of group) alone.push(...(await this.#sendGroup(call, [body])));
      return alone;
    }
  }

  #urlOf({ partition, region, account, queue }: QueueAddress): string {
    const domain = partition === "aws-cn" ? "amazonaws.com.cn" : "amazonaws.com";
    const origin = this.#options.endpoint ?? `https://sqs.${region}.${domain}`;
    return new URL(`/${account}/${queue}`, origin).href;
  }

  /** An endpoint does not say the region, and requests are signed for one. */
  #requestsIn(region: string, url: string): void {
    if (this.#requests.has(url)) return;
    const { credentials } = this.#options;
    this.#requests.set(url, new SqsRequests({ region, connectionsMax: 1, ...(credentials === undefined ? {} : { credentials }) })); // prettier-ignore
  }

  #at(url: string): SqsRequests {
    const requests = this.#requests.get(url);
    if (requests === undefined) throw new Error(`nobody asked for ${url}`);
    return requests;
  }
}

function unwell(error: SqsError): DeadLetterQueueUnwell {
  const words = {
    denied: `it may not be sent to (${error.code}): grant sqs:SendMessage on it, and the use of its key`,
    region: "it is not in the region that its ARN names",
    credentials: `the AWS credentials are missing or expired (${error.code})`,
    throttled: `it takes no more letters for now (${error.code})`,
    unreachable: `it does not answer (${error.code})`,
    refused: `it refuses letters (${error.code})`,
    gone: "it does not exist",
  } as const satisfies Record<SqsError["fault"], string>;
  return new DeadLetterQueueUnwell(words[error.fault], isTemporary(error.fault), { cause: error });
}

/** Room that SQS counts for names and types of attributes, and a little more. */
const ATTRIBUTES_BYTES = 1024;

/** Groups that each fit one request. */
function* groupsOf(letters: readonly DeadLetter[], isFifo: boolean): Generator<readonly Body[], void> {
  let group: Body[] = [];
  let groupBytes = 0;
  for (const [index, { id, body, attributes }] of letters.entries()) {
    const bytes = Buffer.byteLength(body) + ATTRIBUTES_BYTES;
    if (group.length === GROUP_ENTRIES_MAX || (group.length > 0 && groupBytes + bytes > GROUP_BYTES_MAX)) {
      yield group;
      group = [];
      groupBytes = 0;
    }
    group.push({ index, text: body, attributes, ...(isFifo ? { once: id } : {}) });
    groupBytes += bytes;
  }
  if (group.length > 0) yield group;
}
