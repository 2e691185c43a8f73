/** ministack: S3, SQS and CloudWatch Logs in one process, all in its memory. It enforces few of AWS's limits: unit tests do. */
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CacheEntry, ensureEntries, keyOf, runTool } from "./cache-entry.ts";
import { awaitWith, startProcess } from "./cluster-process.ts";
import { freePorts } from "./loopback.ts";
import { serversCache } from "./servers-cache.ts";

const REQUIREMENTS = join(import.meta.dirname, "..", "servers", "ministack", "requirements.txt");
const START_SECONDS = 60;

export interface Ministack {
  /** For all of its services; S3 by path. */
  readonly endpoint: string;
  readonly region: string;
  /** It checks no signature; any will do. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** The last lines that it wrote, for the message of a failed test. */
  lastLines(): string;
  /** Ends the process and removes its folder; twice is as good as once. */
  stop(): Promise<void>;
}

/**
 * Puts ministack into the cache folder when it is not there, which takes half a minute and a package index. Answers the Python that has it.
 *
 * @throws {Error} with the fix, when there is no python3 with venv or the packages cannot be had
 */
export async function ensureMinistack(): Promise<string> {
  const [folder] = await ensureEntries(serversCache(), [await ministackEntry()]);
  return join(folder, "bin", "python");
}

/** Starts one of its own for whoever calls; it dies with this process. */
export async function startMinistack(): Promise<Ministack> {
  const python = await ensureMinistack();
  const folder = await mkdtemp(join(tmpdir(), "millrace-ministack-"));
  const [port = 0] = await freePorts(1);
  const endpoint = `http://127.0.0.1:${String(port)}`;
  const server = startProcess({
    name: "ministack",
    command: python,
    args: ["-m", "ministack"],
    logFile: join(folder, "log"),
    environment: {
      GATEWAY_PORT: String(port),
      BIND_HOST: "127.0.0.1",
      MINISTACK_HOST: "127.0.0.1",
      LOG_LEVEL: "WARNING",
      TMPDIR: folder,
    },
  });
  const stop = async () => {
    await server.end("SIGKILL"); // it keeps nothing
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await awaitWith("ministack's health", [server], () => isHealthy(endpoint), START_SECONDS);
  } catch (error) {
    await stop();
    throw error;
  }
  const credentials = { accessKeyId: "test", secretAccessKey: "test" };
  return { endpoint, region: "us-east-1", credentials, lastLines: () => server.lastLines(), stop };
}

async function ministackEntry(): Promise<CacheEntry> {
  const requirements = readFileSync(REQUIREMENTS, "utf8");
  const version = /^ministack==(.+)$/m.exec(requirements)?.[1] ?? "";
  const python = await runTool("python3", ["--version"], {}).catch((cause: unknown) => {
    throw new Error("npm run test:cloud needs python3 with its venv module, on PATH: there is none.", { cause });
  });
  return {
    folder: `ministack-${version}-${keyOf([requirements, python])}`,
    what: `installing ministack ${version} into a virtual environment of its own, about half a minute`,
    async make(into) {
      await runTool("python3", ["-m", "venv", into], {});
      const quiet = ["--quiet", "--disable-pip-version-check", "--no-input"];
      await runTool(
        join(into, "bin", "python"),
        ["-m", "pip", "install", ...quiet, "--no-deps", "-r", REQUIREMENTS],
        {},
      );
    },
  };
}

async function isHealthy(endpoint: string): Promise<true | undefined> {
  const answer = await fetch(`${endpoint}/_ministack/health`);
  await answer.body?.cancel();
  return answer.ok ? true : undefined;
}
