import { mkdir, symlink, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startServing } from "../../cli/serving.ts";
import { CliUser } from "../support/a-cli.ts";
import { writeProject } from "../support/project-folder.ts";

const HANDLER =
  "class Handler:\n    def __init__(self, config):\n        pass\n\n    def handle_batch(self, payload):\n        return payload\n";
const SPEC = "name: echo\nhandler:\n  type: python\n  path: handler.py\n";
const JOB = "0123456789abcdef";

/** Command lines that are wrong, where no service runs. `PORT` is taken by another program, `FREE` by nobody. */
const ALONE: readonly string[] = [
  "",
  "get",
  `get ${JOB}`,
  `verify ${JOB}`,
  "deplyo echo",
  "run",
  "run echo",
  "run nowhere 1",
  "run plain.txt 1",
  "run empty 1",
  "run not-yaml 1",
  "run no-handler 1",
  "run misspelt 1",
  "run . 1",
  "run echo 1 --worker 2",
  "run echo 1 --workers 0",
  "run echo 1 --workers two",
  "run echo 1 --batch-size 1.5",
  "run echo 1 --timeout -1",
  "run echo 1 --as item",
  "run echo 1 --output yaml",
  "run echo 1 --config {",
  "run echo 1 --config [1]",
  "run echo 1 --config @nowhere.json",
  "run echo 1 --label colour",
  "run echo 1 --include *.png",
  "run echo ./nowhere",
  "run echo nowhere --as files",
  "run echo plain.txt words",
  "run echo plain.txt items.ndjson",
  "run echo ftp://host/file",
  "serve --host 0.0.0.0",
  "serve --port 99999",
  "serve --port PORT",
  "serve --allow nowhere",
  "serve --allow plain.txt",
  "serve --root plain.txt",
  "serve extra",
  "deploy echo",
  "submit echo 1",
  "submit echo",
  "submit echo 1 --body body.json",
  "submit echo --workers 2 --body body.json",
  "submit echo --body nowhere.json",
  "submit echo 1 --address localhost:FREE",
  "submit echo 1 --address http://127.0.0.1:FREE",
  "submit echo 1 --address http://127.0.0.1:FREE --output json",
  "get",
  `watch ${JOB}`,
  `logs ${JOB}`,
  `stop ${JOB}`,
  "stop echo",
  `results ${JOB}`,
  "list echo --limit 0",
  "list --state running",
  "retry",
  "retry echo",
  `retry ${JOB} --attempts x`,
  `retry ${JOB} --minutes 5`,
  `retry ${JOB} --config @nowhere.json`,
  `results ${JOB} --family --follow`,
  "verify",
  `verify ${JOB} --store bucket`,
  "serve --keep-results x",
  "serve --keep-records -1",
];

/** Command lines that are wrong for a running service. */
const SERVED: readonly string[] = [
  "serve --port 0",
  "submit nothing 1",
  "submit echo /etc --as files",
  "submit echo data/nowhere.txt --as files",
  "submit echo data --include [z-a]",
  "submit echo data --include *.png",
  "submit echo --body body.json",
  "submit echo s3://bucket/key",
  "submit echo 1 --idempotency-key ключ",
  "list nothing",
  "list echo --state done",
  "list echo --cursor first",
  `get ${JOB}`,
  `get echo ${JOB}`,
  "get nothing",
  "watch echo",
  `stop ${JOB}`,
  `verify ${JOB}`,
  "verify nothing",
  "verify --all nothing",
  `retry ${JOB}`,
  `retry echo ${JOB}`,
  "deploy unlike",
];

let user: CliUser;
let taken: Server;
let freePort: number;

beforeAll(async () => {
  user = await CliUser.create();
  await writeProject(join(user.home, "echo"), { "millrace.yaml": SPEC, "handler.py": HANDLER });
  await writeProject(join(user.home, "not-yaml"), { "millrace.yaml": "name: [echo", "handler.py": HANDLER });
  await writeProject(join(user.home, "no-handler"), { "millrace.yaml": SPEC, "main.py": HANDLER });
  await writeProject(join(user.home, "misspelt"), { "millrace.yaml": `${SPEC}worker: 2\n`, "handler.py": HANDLER });
  await mkdir(join(user.home, "empty"));
  await mkdir(join(user.home, "unlike"));
  await symlink("/etc/hosts", join(user.home, "unlike", "a-link-that-leads-out"));
  await mkdir(join(user.home, "data"));
  await writeFile(join(user.home, "data", "a.txt"), "a");
  await writeFile(join(user.home, "plain.txt"), "plain");
  await writeFile(join(user.home, "items.ndjson"), "1\n");
  await writeFile(join(user.home, "body.json"), '{"item_list": {"items": [1], "batchsize": 2}, "workers": "2"}');
  taken = await listening();
  const free = await listening();
  freePort = portOf(free);
  await new Promise((resolve) => free.close(resolve));
});

afterAll(async () => {
  await new Promise((resolve) => taken.close(resolve));
  await user.remove();
});

function listening(): Promise<Server> {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      resolve(server);
    });
  });
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** The command line with what it wrote and its exit code, figures of this machine masked. */
async function transcript(line: string): Promise<string> {
  const args = line.split(" ").filter((word) => word !== "");
  const given = args.map((word) => word.replace("PORT", String(portOf(taken))).replace("FREE", String(freePort)));
  const { code, out, err } = await user.run(given);
  const text = `$ millrace ${line}\n${out}${err}[exit ${String(code)}]\n`;
  return text
    .replaceAll(user.home, "HOME")
    .replaceAll(String(portOf(taken)), "PORT")
    .replaceAll(String(freePort), "FREE");
}

async function transcripts(lines: readonly string[]): Promise<string> {
  const texts: string[] = [];
  for (const line of lines) texts.push(await transcript(line));
  return texts.join("\n");
}

describe("error texts of the CLI", () => {
  it("name what was found and the fix where no service runs", async () => {
    await expect(await transcripts(ALONE)).toMatchFileSnapshot("../golden/cli-errors-alone.txt");
  });

  it("name what was found and the fix where a service refuses", async () => {
    const serving = await startServing(user.cli(), {
      ...{ root: user.root, host: "127.0.0.1", port: 0, lanes: 1 },
      allow: [join(user.home, "data")],
      onFatal: () => {},
    });
    try {
      const deployed = await user.run(["deploy", "echo"]);
      expect(deployed, deployed.err).toMatchObject({ code: 0 });

      await expect(await transcripts(SERVED)).toMatchFileSnapshot("../golden/cli-errors-served.txt");
    } finally {
      await serving.stop();
    }
  });
});
