/** fauxqs, a server of SQS's protocol, in a process of its own, so that its CPU time is not counted; on a free loopback port. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("sqs-server-main.ts", import.meta.url));

export interface SqsServer {
  readonly endpoint: string;
  stop(): Promise<void>;
}

export async function startSqsServer(): Promise<SqsServer> {
  const server = fork(PROGRAM);
  const ended = once(server, "exit");
  const [endpoint] = (await Promise.race([
    once(server, "message"),
    ended.then(() => Promise.reject(new Error("the SQS server ended before it listened"))),
  ])) as [string];
  return {
    endpoint,
    async stop() {
      server.kill("SIGKILL"); // it keeps nothing
      await ended;
    },
  };
}
