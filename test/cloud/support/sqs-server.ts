/** fauxqs, a server of SQS's protocol, in this process; bound to the loopback, on a port that the system gives. */
import { buildApp } from "fauxqs";

export const SQS_CREDENTIALS = { accessKeyId: "test", secretAccessKey: "test" };
export const SQS_REGION = "us-east-1";

/** What any server of the protocol offers. */
export interface SqsServer {
  readonly endpoint: string;
  stop(): Promise<void>;
}

export async function startSqsServer(): Promise<SqsServer> {
  const app = buildApp({ logger: false });
  const endpoint = await app.listen({ host: "127.0.0.1", port: 0 });
  return {
    endpoint,
    async stop() {
      await app.close();
    },
  };
}

/** The URL of a queue at the address where its server listens: servers name hosts in it that nobody resolves. */
export function queueUrlAt(server: SqsServer, queueUrl: string): string {
  return new URL(new URL(queueUrl).pathname, server.endpoint).href;
}
