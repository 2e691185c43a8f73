/** `millrace doctor`: whether this machine and this configuration will do; a cluster's, where its variables are set. */
import { link, mkdir, mkdtemp, open, rm, statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { isCloud } from "../../services/backends/cloud-config.ts";
import { runCommand } from "../../services/backends/command-lines.ts";
import { pythonFacts } from "../../services/backends/python-facts.ts";
import { ENV } from "../../services/protocol/environment.ts";
import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import { byteSize } from "../amounts.ts";
import type { Cli } from "../cli.ts";
import { Client } from "../client.ts";
import type { CommonOptions } from "../common-options.ts";
import { rootOf } from "../connection.ts";
import { paintFor } from "../paint.ts";
import type { Finding } from "../finding.ts";
import { findService, type FoundService } from "../service-file.ts";

export interface DoctorOptions extends CommonOptions {
  readonly port: number;
}

const NODE_OLDEST = 24;
const FREE_BYTES_MIN = 2 * 1024 ** 3;

export async function doctor(cli: Cli, options: DoctorOptions): Promise<number> {
  if (isCloud(cli.environment)) {
    const { cloudFindings } = await import("./doctor-cloud.ts");
    return tell(cli, options, {}, [node(process.versions.node), ...(await cloudFindings(cli))]);
  }
  const root = rootOf(cli, options);
  const service = await findService(root).catch(() => ({ kind: "none" }) as const);
  const findings: readonly Finding[] = [
    node(process.versions.node),
    await python(cli),
    await rootFolder(root),
    await freeSpace(root),
    serviceFinding(service, root),
    await portFinding(options.port, service),
    ...(await s3(cli)),
  ];
  return tell(cli, options, { root }, findings);
}

/** Answers the exit code. */
function tell(cli: Cli, { output }: DoctorOptions, about: object, findings: readonly Finding[]): number {
  const sound = findings.every(({ result }) => result !== "fail");
  if (output === "json") cli.out.write(`${JSON.stringify({ sound, ...about, findings }, undefined, 2)}\n`);
  else {
    const paint = paintFor(cli.out, cli.environment);
    const marks = { ok: paint("green", "ok  "), warn: paint("yellow", "warn"), fail: paint("red", "FAIL") };
    const width = Math.max(8, ...findings.map(({ name }) => name.length));
    for (const { name, result, says } of findings) cli.out.write(`${marks[result]}  ${name.padEnd(width)}  ${says}\n`);
  }
  return sound ? CLI_EXIT.ok : CLI_EXIT.failed;
}

function node(version: string): Finding {
  const fits = Number(version.split(".")[0]) >= NODE_OLDEST;
  return {
    name: "node",
    result: fits ? "ok" : "fail",
    says: fits ? version : `${version}; Millrace needs ${String(NODE_OLDEST)}`,
  };
}

async function python(cli: Cli): Promise<Finding> {
  const name = "python";
  const signal = new AbortController().signal;
  try {
    const command = cli.environment[ENV.python] ?? "python3";
    const { executable, version } = await pythonFacts(command, cli.environment, signal);
    const asked = { file: executable, args: ["-c", "import venv, ensurepip"], cwd: "/", env: cli.environment };
    const { exitCode } = await runCommand(asked, () => undefined, signal);
    if (exitCode === 0) return { name, result: "ok", says: `${version} at ${executable}, with venv` };
    const fix = "install its venv module (python3-venv), or name another Python in MILLRACE_PYTHON";
    return {
      name,
      result: "warn",
      says: `${version} at ${executable} has no venv; handlers with requirements need it: ${fix}`,
    };
  } catch (error) {
    return { name, result: "fail", says: wordsOf(error) };
  }
}

/** What the store on a folder leans on: hard links, and a flush that answers. */
async function rootFolder(root: string): Promise<Finding> {
  const name = "root";
  let scratch: string | undefined;
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
    scratch = await mkdtemp(join(root, ".doctor-"));
    const file = await open(join(scratch, "a"), "w");
    await file.writeFile("x");
    await file.datasync();
    await file.close();
    await link(join(scratch, "a"), join(scratch, "b"));
    const folder = await open(scratch, "r");
    await folder.sync();
    await folder.close();
    return { name, result: "ok", says: `${root}: writable, with hard links and fsync` };
  } catch (error) {
    return { name, result: "fail", says: `${root}: ${wordsOf(error)}; name a folder on a local disk with --root` };
  } finally {
    if (scratch !== undefined) await rm(scratch, { recursive: true, force: true });
  }
}

async function freeSpace(root: string): Promise<Finding> {
  const name = "disk";
  try {
    const { bavail, bsize } = await statfs(root);
    const says = `${byteSize(bavail * bsize)} free`;
    if (bavail * bsize >= FREE_BYTES_MIN) return { name, result: "ok", says };
    return { name, result: "warn", says: `${says}; environments and results may need more` };
  } catch (error) {
    return { name, result: "warn", says: wordsOf(error) };
  }
}

function serviceFinding(service: FoundService, root: string): Finding {
  const name = "service";
  if (service.kind === "none")
    return { name, result: "ok", says: `none runs on ${root}; \`millrace serve\` starts one` };
  if (service.kind === "starting") return { name, result: "ok", says: "starting" };
  const says = `runs at ${service.address} (pid ${String(service.pid)}); jobs may read ${service.allow.join(", ")}`;
  return { name, result: "ok", says };
}

function portFinding(port: number, service: FoundService): Promise<Finding> {
  const name = "port";
  const own = service.kind === "running" && new URL(service.address).port === String(port);
  if (own) return Promise.resolve({ name, result: "ok", says: `${String(port)} is the service's` });
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", (error) => {
      resolve({
        name,
        result: "warn",
        says: `${String(port)} cannot be used (${wordsOf(error)}); give serve another --port`,
      });
    });
    probe.listen(port, "127.0.0.1", () => {
      probe.close(() => {
        resolve({ name, result: "ok", says: `${String(port)} is free` });
      });
    });
  });
}

async function s3(cli: Cli): Promise<readonly Finding[]> {
  const name = "s3";
  const endpoint = cli.environment[ENV.awsEndpoint] ?? "";
  const { AWS_ACCESS_KEY_ID: key, AWS_PROFILE: profile } = cli.environment;
  if (endpoint === "") {
    const says =
      key === undefined && profile === undefined ? "no credentials: s3:// is refused" : "credentials are there";
    return [{ name, result: "ok", says }];
  }
  try {
    await new Client(() => Promise.resolve(endpoint)).bytes("/");
    return [{ name, result: "ok", says: `${endpoint} answers` }];
  } catch (error) {
    // Any answer of HTTP will do: without a signature it says no.
    const answers = error instanceof Error && error.message.includes("the service answered");
    const says = answers ? `${endpoint} answers` : `${endpoint} does not answer; check ${ENV.awsEndpoint}`;
    return [{ name, result: answers ? "ok" : "fail", says }];
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
