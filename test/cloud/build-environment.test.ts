/** The builder of environments as the process that a pod runs, over a server of S3's protocol. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommand } from "../../services/backends/command-lines.ts";
import { environmentEnd, packRequest, unpackEnvironment } from "../../services/backends/environment-archive.ts";
import { S3Store } from "../../services/backends/object-store.s3.ts";
import { SPEC_DEFAULTS } from "../../services/protocol/api-spec.parse.ts";
import { apiKeys } from "../../services/protocol/keys.ts";
import { aProject } from "../support/project-folder.ts";
import { PackageIndex } from "./support/package-index.ts";
import { S3_CREDENTIALS, S3_REGION, startS3Server, type S3Server } from "./support/s3-server.ts";

const MAIN = join(import.meta.dirname, "../../services/worker/main.ts");
const { dependencies } = SPEC_DEFAULTS;

let scratch: string;
let s3: S3Server;
let index: PackageIndex;
let store: S3Store;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "millrace-builder-"));
  await mkdir(join(scratch, "wheels"));
  index = await PackageIndex.start(join(scratch, "wheels"));
  await index.add("greeting", "1.2.0", "WORD = 'hello'\n");
  s3 = await startS3Server(["store"]);
  const access = { region: S3_REGION, endpoint: s3.endpoint, credentials: S3_CREDENTIALS };
  store = new S3Store({ bucket: "store", access });
});

afterAll(async () => {
  await Promise.all([s3.stop(), index.stop()]);
  await rm(scratch, { recursive: true, force: true });
});

function place(key: string) {
  return { store, api: "photos", key };
}

async function ask(key: string, texts: Readonly<Record<string, string>>): Promise<void> {
  const request = await packRequest({ files: aProject(texts), dependencies });
  await store.put(apiKeys("photos").environmentRequest(key), request);
}

async function build(key: string, root: string, over: Readonly<Record<string, string>> = {}) {
  const env = {
    ...{ PATH: process.env["PATH"], HOME: scratch, PIP_INDEX_URL: index.url, PIP_CONFIG_FILE: "/dev/null" },
    ...{ AWS_REGION: S3_REGION, AWS_ENDPOINT_URL_S3: s3.endpoint },
    ...{ AWS_ACCESS_KEY_ID: S3_CREDENTIALS.accessKeyId, AWS_SECRET_ACCESS_KEY: S3_CREDENTIALS.secretAccessKey },
    ...{ MILLRACE_API: "photos", MILLRACE_STORE: "s3://store", MILLRACE_SCRATCH: root },
    ...{ MILLRACE_LANES: "http://127.0.0.1:1/q/0", MILLRACE_LOG_GROUP: "/millrace/photos" },
    ...{ MILLRACE_BUILD_ENVIRONMENT: key, ...over },
  };
  const builder = spawn(process.execPath, [MAIN], { env, stdio: ["ignore", "pipe", "pipe"] });
  const exit = once(builder, "exit");
  const [said, complained] = await Promise.all([text(builder.stdout), text(builder.stderr)]);
  const [code] = (await exit) as [number | null];
  return { code, said, complained };
}

describe("a builder's process", () => {
  it("installs, keeps the environment in the store, and does nothing the second time", async () => {
    await ask("e1", {
      "requirements.txt": "greeting\n",
      "dependencies.sh": '[ -z "$MILLRACE_STORE" ]\n',
    });
    const root = join(scratch, "root");

    const first = await build("e1", root);
    expect(first, first.complained).toMatchObject({ code: 0 });
    expect(first.said).toContain("the environment is in the store");
    const end = await environmentEnd(place("e1"));
    await rm(root, { recursive: true });
    const asked = index.requests.length;
    expect(await build("e1", root)).toMatchObject({ code: 0 });

    expect(await environmentEnd(place("e1"))).toEqual(end);
    expect(index.requests).toHaveLength(asked);
    const python = await unpackEnvironment(place("e1"), root); // where it was built, as in pods
    const lines: string[] = [];
    const program = { file: python, args: ["-c", "import greeting; print(greeting.WORD)"], cwd: scratch, env: {} };
    await runCommand(program, (line) => lines.push(line), new AbortController().signal);
    expect(lines).toEqual(["hello"]);
  });

  it("ends by an exit code of its own when the files cannot be installed, and says why", async () => {
    await ask("e2", { "requirements.txt": "greeting==9.9\n" });

    const ended = await build("e2", join(scratch, "other"));

    expect(ended.code).toBe(65);
    expect(ended.complained).toMatch(/^requirements\.txt: found greeting==9\.9, which does not exist/);
    expect(await environmentEnd(place("e2"))).toBeUndefined();
  });

  it("names what it was not told, all at once, and an environment that nobody asked for", async () => {
    const told = await build("e3", "", { MILLRACE_STORE: "", MILLRACE_API: "" });
    expect(told.code).toBe(64);
    expect(told.complained.split("\n").map((fault) => fault.split(" ")[0])).toEqual([
      "MILLRACE_API",
      "MILLRACE_SCRATCH",
      "MILLRACE_STORE",
      "",
    ]);

    const unasked = await build("e3", join(scratch, "third"));
    expect(unasked.code).toBe(1);
    expect(unasked.complained).toContain("nobody asked for environment e3 of API photos; deploy the API again");
  });
});
