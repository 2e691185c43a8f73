/** versitygw, a server of S3's protocol over a folder: conditional writes are atomic there, as they are at AWS. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { awaitWith, startProcess } from "./cluster-process.ts";
import { freePorts } from "./loopback.ts";
import { ensureBinary } from "./servers-cache.ts";

export const S3_CREDENTIALS = { accessKeyId: "test", secretAccessKey: "test-secret" };
export const S3_REGION = "us-east-1";

export interface S3Server {
  readonly endpoint: string;
  /** Makes a bucket; nothing happens when it is there. */
  makeBucket(bucket: string): Promise<void>;
  /** The last lines that it wrote, for the message of a failed test. */
  lastLines(): string;
  /** Ends the process and removes its folder; twice is as good as once. */
  stop(): Promise<void>;
}

/** Starts one of its own for whoever calls, with the buckets that are named; it dies with this process. */
export async function startS3Server(buckets: readonly string[] = []): Promise<S3Server> {
  const gateway = await ensureBinary("versitygw");
  const folder = await mkdtemp(join(tmpdir(), "millrace-s3-"));
  const root = join(folder, "buckets");
  await mkdir(root);
  const [port = 0] = await freePorts(1);
  const address = `127.0.0.1:${String(port)}`;
  const server = startProcess({
    name: "versitygw",
    command: gateway,
    args: ["--port", address, "--health", "/health", "--quiet", "--keep-alive", "posix", root],
    logFile: join(folder, "log"),
    environment: { ROOT_ACCESS_KEY: S3_CREDENTIALS.accessKeyId, ROOT_SECRET_KEY: S3_CREDENTIALS.secretAccessKey },
  });
  const stop = async () => {
    await server.end("SIGKILL"); // nothing of it is kept
    await rm(folder, { recursive: true, force: true });
  };
  // A folder beside the others is a bucket there.
  const makeBucket = async (bucket: string) => {
    await mkdir(join(root, bucket), { recursive: true });
  };
  try {
    await awaitWith("versitygw's health", [server], () => isHealthy(`http://${address}`));
    for (const bucket of buckets) await makeBucket(bucket);
  } catch (error) {
    await stop();
    throw error;
  }
  return { endpoint: `http://${address}`, makeBucket, lastLines: () => server.lastLines(), stop };
}

async function isHealthy(endpoint: string): Promise<true | undefined> {
  const answer = await fetch(`${endpoint}/health`);
  await answer.body?.cancel();
  return answer.ok ? true : undefined;
}
