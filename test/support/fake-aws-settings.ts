/** What S3, SQS and CloudWatch Logs answer of how they are set up, and nothing else of them; on loopback. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export class FakeAwsSettings {
  /** Rules as XML; undefined: the bucket has none. */
  lifecycle: string | undefined;
  versioning: "" | "Enabled" | "Suspended" = "";
  /** By a queue's name; undefined: it does not exist. */
  queues: Record<string, Record<string, string>> = {};
  logGroups: string[] = [];
  /** Of every request to S3: the name of an error, and its status. */
  s3Refuses: readonly [code: string, status: number] | undefined;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      void this.#answer(request, response);
    });
  }

  static async start(): Promise<FakeAwsSettings> {
    const fake = new FakeAwsSettings();
    await new Promise<void>((resolve) => fake.#server.listen(0, "127.0.0.1", resolve));
    return fake;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    const operation = String(request.headers["x-amz-target"] ?? "").split(".")[1];
    if (operation === undefined) {
      this.#answerS3(request.url ?? "", response);
      return;
    }
    const [status, answer] = operation === "DescribeLogGroups" ? this.#describeLogGroups() : this.#attributes(body);
    response.writeHead(status, { "content-type": "application/x-amz-json-1.0" }).end(JSON.stringify(answer));
  }

  #answerS3(path: string, response: ServerResponse): void {
    const error = (code: string, status: number) => {
      response.writeHead(status, { "content-type": "application/xml" }).end(`<Error><Code>${code}</Code></Error>`);
    };
    if (this.s3Refuses !== undefined) error(...this.s3Refuses);
    else if (path.includes("?lifecycle") && this.lifecycle === undefined) error("NoSuchLifecycleConfiguration", 404);
    else response.writeHead(200, { "content-type": "application/xml" }).end(this.#xml(path));
  }

  #xml(path: string): string {
    if (path.includes("?lifecycle")) return `<LifecycleConfiguration>${this.lifecycle ?? ""}</LifecycleConfiguration>`;
    if (!path.includes("?versioning")) return "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    const status = this.versioning === "" ? "" : `<Status>${this.versioning}</Status>`;
    return `<VersioningConfiguration>${status}</VersioningConfiguration>`;
  }

  #describeLogGroups(): readonly [number, object] {
    return [200, { logGroups: this.logGroups.map((logGroupName) => ({ logGroupName })) }];
  }

  #attributes(body: string): readonly [number, object] {
    const { QueueUrl: url } = JSON.parse(body) as { readonly QueueUrl: string };
    const attributes = this.queues[url.split("/").at(-1) ?? ""];
    if (attributes !== undefined) return [200, { Attributes: attributes }];
    return [400, { __type: "com.amazonaws.sqs#QueueDoesNotExist" }];
  }
}
