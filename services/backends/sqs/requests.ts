/** The requests that the queue makes, as the SDK's calls: one attempt each, no retries. */
import type {
  BatchResultErrorEntry,
  Message as SqsMessage,
  SendMessageBatchRequestEntry,
  SQSClient,
} from "@aws-sdk/client-sqs";
import type * as SqsSdk from "@aws-sdk/client-sqs";
import type { Body } from "./bodies.ts";

export interface SqsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface SqsRequestsOptions {
  /** Said when a queue's host does not say it. Undefined: the SDK's own default chain. */
  readonly region?: string;
  /** Undefined: the SDK's own default chain. */
  readonly credentials?: SqsCredentials | (() => Promise<SqsCredentials>);
  /** Connections at most: calls in flight and polls. */
  readonly connectionsMax: number;
}

/** Entries by their places in the request; those in neither list were not done. */
export interface GroupAnswer {
  readonly done: readonly string[];
  readonly failed: readonly BatchResultErrorEntry[];
}

type MessageAttributes = NonNullable<SendMessageBatchRequestEntry["MessageAttributes"]>;

/** Without them a peer that vanished would be waited for for ever. */
const CONNECT_MILLISECONDS = 5_000;
const ANSWER_MILLISECONDS = 15_000;

/**
 * Each queue is asked at the host of its own URL, so that an endpoint of another service in the environment does not
 * matter. The SDK is loaded at first use. MD5 sums are not compared: TLS and TCP guard the bytes, a message that arrives
 * damaged all the same is not decoded, acked, and sent again, and the check costs 15 % of the CPU time of a call.
 */
export class SqsRequests {
  readonly #options: SqsRequestsOptions;
  readonly #clients = new Map<string, Promise<SQSClient>>();
  #sdk: Promise<typeof SqsSdk> | undefined;

  constructor(options: SqsRequestsOptions) {
    this.#options = options;
  }

  async send(url: string, bodies: readonly Body[]): Promise<GroupAnswer> {
    const [client, { SendMessageBatchCommand }] = await this.#ready(url);
    const Entries = bodies.map((body, at) => ({ Id: String(at), ...entryOf(body) }));
    return groupAnswer(await client.send(new SendMessageBatchCommand({ QueueUrl: url, Entries }), within(0)));
  }

  async receive(
    url: string,
    options: { readonly messagesMax: number; readonly waitSeconds: number; readonly leaseSeconds: number },
  ): Promise<readonly SqsMessage[]> {
    const [client, { ReceiveMessageCommand }] = await this.#ready(url);
    const command = new ReceiveMessageCommand({
      QueueUrl: url,
      MaxNumberOfMessages: options.messagesMax,
      WaitTimeSeconds: options.waitSeconds,
      VisibilityTimeout: options.leaseSeconds,
      MessageSystemAttributeNames: ["ApproximateReceiveCount"],
    });
    return (await client.send(command, within(options.waitSeconds))).Messages ?? [];
  }

  /** Hides messages for so many seconds from now; 0 makes them visible. */
  async hide(url: string, receipts: readonly string[], seconds: number): Promise<GroupAnswer> {
    const [client, { ChangeMessageVisibilityBatchCommand }] = await this.#ready(url);
    const Entries = receipts.map((receipt, at) => {
      return { Id: String(at), ReceiptHandle: receipt, VisibilityTimeout: seconds };
    });
    const command = new ChangeMessageVisibilityBatchCommand({ QueueUrl: url, Entries });
    return groupAnswer(await client.send(command, within(0)));
  }

  async delete(url: string, receipts: readonly string[]): Promise<GroupAnswer> {
    const [client, { DeleteMessageBatchCommand }] = await this.#ready(url);
    const Entries = receipts.map((receipt, at) => ({ Id: String(at), ReceiptHandle: receipt }));
    return groupAnswer(await client.send(new DeleteMessageBatchCommand({ QueueUrl: url, Entries }), within(0)));
  }

  async probe(url: string): Promise<void> {
    const [client, { GetQueueAttributesCommand }] = await this.#ready(url);
    await client.send(new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ["QueueArn"] }), within(0));
  }

  /** Asks the provider for other credentials than those that it gave before. */
  async renewCredentials(url: string): Promise<void> {
    const [client] = await this.#ready(url);
    await client.config.credentials({ forceRefresh: true });
  }

  /** Ends connections; what is in flight fails. */
  async close(): Promise<void> {
    for (const client of this.#clients.values()) (await client).destroy();
  }

  #ready(url: string) {
    this.#sdk ??= import("@aws-sdk/client-sqs");
    const { origin, hostname } = new URL(url);
    let client = this.#clients.get(origin);
    if (client === undefined) {
      client = this.#sdk.then((sdk) => this.#newClient(sdk, origin, regionOf(hostname)));
      this.#clients.set(origin, client);
    }
    return Promise.all([client, this.#sdk]);
  }

  #newClient({ SQSClient }: typeof SqsSdk, endpoint: string, hostRegion: string | undefined): SQSClient {
    const { credentials, connectionsMax } = this.#options;
    const region = hostRegion ?? this.#options.region;
    const agent = { keepAlive: true, maxSockets: connectionsMax };
    return new SQSClient({
      endpoint,
      md5: false,
      maxAttempts: 1, // retries are the caller's: by its clock, its budget, and with fewer in flight
      requestHandler: {
        connectionTimeout: CONNECT_MILLISECONDS,
        throwOnRequestTimeout: true,
        httpAgent: agent,
        httpsAgent: agent,
      },
      ...(region === undefined ? {} : { region }),
      ...(credentials === undefined ? {} : { credentials }),
    });
  }
}

function entryOf({ text, attributes, once }: Body): Omit<SendMessageBatchRequestEntry, "Id"> {
  const fifo = once === undefined ? {} : { MessageGroupId: once, MessageDeduplicationId: once };
  if (attributes === undefined) return { MessageBody: text, ...fifo };
  const told = Object.entries(attributes).map(([name, value]) => [name, { DataType: "String", StringValue: value }]);
  return { MessageBody: text, ...fifo, MessageAttributes: Object.fromEntries(told) as MessageAttributes };
}

/** A poll is awaited for as long as it may wait, and then for as long as any other answer. */
function within(waitSeconds: number): { readonly requestTimeout: number } {
  return { requestTimeout: ANSWER_MILLISECONDS + 1000 * waitSeconds };
}

function groupAnswer(answer: {
  readonly Successful: readonly { readonly Id: string | undefined }[] | undefined;
  readonly Failed: readonly BatchResultErrorEntry[] | undefined;
}): GroupAnswer {
  return { done: (answer.Successful ?? []).flatMap(({ Id }) => Id ?? []), failed: answer.Failed ?? [] };
}

/** As in `sqs.eu-west-1.amazonaws.com`. */
function regionOf(hostname: string): string | undefined {
  return /^(?:sqs|sqs-fips)\.([a-z0-9-]+)\.(?:amazonaws\.|api\.aws)/.exec(hostname)?.[1];
}
