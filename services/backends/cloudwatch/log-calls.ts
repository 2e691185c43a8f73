/** The requests of CloudWatch Logs that are used here, one attempt each. */
import type * as Aws from "@aws-sdk/client-cloudwatch-logs";
import type {
  CloudWatchLogsClient,
  FilterLogEventsCommandInput,
  FilterLogEventsCommandOutput,
  RejectedLogEventsInfo,
} from "@aws-sdk/client-cloudwatch-logs";
import { faultOf } from "./log-faults.ts";
import type { LogFault, LogOperation } from "./log-faults.ts";
import type { LogEvent } from "./log-event.ts";

export interface LogCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface LogCallsOptions {
  readonly group: string;
  /** What is left out comes from the SDK's own default chain. */
  readonly region?: string;
  /** Another endpoint than AWS's. */
  readonly endpoint?: string;
  readonly credentials?: LogCredentials | (() => Promise<LogCredentials>);
  /** Hears of each request when it has been answered, or was not; `bytes`: of the events that it carried or brought. */
  readonly onRequest?: (operation: LogOperation, outcome: "answered" | LogFault, bytes: number) => void;
}

/** Without them a peer that vanished would be waited for for ever. */
const CONNECT_MILLISECONDS = 5_000;
const ANSWER_MILLISECONDS = 20_000;

type Sdk = typeof Aws;

/** See the file. What fails throws the SDK's error; `faultOf` judges it. The SDK is loaded at first use. */
export class LogCalls {
  readonly group: string;
  readonly #options: LogCallsOptions;
  #opened: Promise<{ readonly sdk: Sdk; readonly client: CloudWatchLogsClient }> | undefined;
  #client: CloudWatchLogsClient | undefined;

  constructor(options: LogCallsOptions) {
    this.group = options.group;
    this.#options = options;
  }

  /** How far the service's clock is ahead of this machine's, milliseconds; 0 until it is known to be minutes. */
  get aheadMs(): number {
    return this.#client?.config.systemClockOffset ?? 0;
  }

  async createStream(stream: string, signal: AbortSignal): Promise<void> {
    await this.#send("CreateLogStream", 0, ({ CreateLogStreamCommand }, client) =>
      client.send(new CreateLogStreamCommand({ logGroupName: this.group, logStreamName: stream }), {
        abortSignal: signal,
      }),
    );
  }

  /** Answers which events were not taken, by their places, though the call went well. */
  async put(
    stream: string,
    events: readonly LogEvent[],
    signal: AbortSignal,
  ): Promise<RejectedLogEventsInfo | undefined> {
    const logEvents = events.map(({ timestamp, message }) => ({ timestamp, message }));
    const bytes = events.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const answer = await this.#send("PutLogEvents", bytes, ({ PutLogEventsCommand }, client) =>
      client.send(new PutLogEventsCommand({ logGroupName: this.group, logStreamName: stream, logEvents }), {
        abortSignal: signal,
      }),
    );
    return answer.rejectedLogEventsInfo;
  }

  async filter(input: Omit<FilterLogEventsCommandInput, "logGroupName">): Promise<FilterLogEventsCommandOutput> {
    return await this.#send("FilterLogEvents", 0, ({ FilterLogEventsCommand }, client) =>
      client.send(new FilterLogEventsCommand({ logGroupName: this.group, ...input })),
    );
  }

  /** Names of the first streams, at most 50, that begin so. */
  async streams(prefix: string): Promise<readonly string[]> {
    const answer = await this.#send("DescribeLogStreams", 0, ({ DescribeLogStreamsCommand }, client) =>
      client.send(new DescribeLogStreamsCommand({ logGroupName: this.group, logStreamNamePrefix: prefix })),
    );
    return (answer.logStreams ?? []).flatMap(({ logStreamName }) => logStreamName ?? []);
  }

  async deleteStream(stream: string): Promise<void> {
    await this.#send("DeleteLogStream", 0, ({ DeleteLogStreamCommand }, client) =>
      client.send(new DeleteLogStreamCommand({ logGroupName: this.group, logStreamName: stream })),
    );
  }

  /** Asks the provider for other credentials than those that it gave before. */
  async renewCredentials(): Promise<void> {
    await this.#client?.config.credentials({ forceRefresh: true });
  }

  /** Ends connections; what is in flight fails. */
  close(): void {
    this.#client?.destroy();
  }

  async #send<Answer>(
    operation: LogOperation,
    bytes: number,
    request: (sdk: Sdk, client: CloudWatchLogsClient) => Promise<Answer>,
  ): Promise<Answer> {
    this.#opened ??= import("@aws-sdk/client-cloudwatch-logs").then((sdk) => {
      this.#client = this.#clientOf(sdk);
      return { sdk, client: this.#client };
    });
    const { sdk, client } = await this.#opened;
    try {
      const answer = await request(sdk, client);
      this.#options.onRequest?.(operation, "answered", bytes);
      return answer;
    } catch (error) {
      this.#options.onRequest?.(operation, faultOf(error), bytes);
      throw error;
    }
  }

  #clientOf({ CloudWatchLogsClient: Client }: Sdk): CloudWatchLogsClient {
    const { region, endpoint, credentials } = this.#options;
    return new Client({
      maxAttempts: 1, // retries are the caller's: by its clock, and counted
      requestHandler: {
        connectionTimeout: CONNECT_MILLISECONDS,
        requestTimeout: ANSWER_MILLISECONDS,
        throwOnRequestTimeout: true,
      },
      ...(region === undefined ? {} : { region }),
      ...(endpoint === undefined ? {} : { endpoint, disableHostPrefix: true }),
      ...(credentials === undefined ? {} : { credentials }),
    });
  }
}
