/** versitygw, a server of S3's protocol over a folder, in a process of its own; the cloud tests build it into their cache. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { S3Access } from "../../services/backends/s3/s3-requests.ts";

export interface BenchS3 {
  readonly access: Required<Pick<S3Access, "endpoint" | "region">> & {
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  };
  readonly bucket: string;
  stop(): Promise<void>;
}

const BUCKET = "bench";
const STARTS_SECONDS_MAX = 20;

/** The server was never built; the message says how. */
export class ServerMissing extends Error {
  override readonly name = "ServerMissing";
}

/** Throws `ServerMissing`. */
export async function startBenchS3(): Promise<BenchS3> {
  const program = builtServer();
  const folder = mkdtempSync(join(tmpdir(), "bench-s3-"));
  mkdirSync(join(folder, BUCKET));
  const credentials = { accessKeyId: "bench", secretAccessKey: "bench-secret" };
  const address = `127.0.0.1:${String(await freePort())}`;
  const server = spawn(
    program,
    ["--port", address, "--health", "/health", "--quiet", "--keep-alive", "posix", folder],
    {
      env: { ROOT_ACCESS_KEY: credentials.accessKeyId, ROOT_SECRET_KEY: credentials.secretAccessKey },
      stdio: "ignore",
    },
  );
  const ended = once(server, "exit");
  const stop = async () => {
    server.kill("SIGKILL"); // nothing of it is kept
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  const endpoint = `http://${address}`;
  for (const startedMs = performance.now(); !(await isHealthy(endpoint)); await sleep(50)) {
    if (performance.now() - startedMs < STARTS_SECONDS_MAX * 1000) continue;
    await stop();
    throw new Error(`versitygw did not answer within ${String(STARTS_SECONDS_MAX)} s`);
  }
  return { access: { region: "us-east-1", endpoint, credentials }, bucket: BUCKET, stop };
}

/** The newest one in the cache of the cloud tests. */
function builtServer(): string {
  const xdg = process.env["XDG_CACHE_HOME"] ?? "";
  const cache = join(xdg === "" ? join(homedir(), ".cache") : xdg, "millrace-test-servers");
  const names = namesIn(cache).filter((name) => /^versitygw-[0-9a-f]+$/.test(name));
  const newest = names.at(-1);
  if (newest === undefined)
    throw new ServerMissing(`there is no versitygw in ${cache}; build it: node test/cloud/prepare.ts`);
  return join(cache, newest, "versitygw");
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return []; // nothing was ever built
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function isHealthy(endpoint: string): Promise<boolean> {
  return fetch(`${endpoint}/health`).then(
    ({ ok }) => ok,
    () => false, // not yet
  );
}
