import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { realClock } from "../../services/backends/clock.real.ts";
import { runCommand } from "../../services/backends/command-lines.ts";
import { environmentPython } from "../../services/backends/environment-python.ts";
import { VenvEnvironments } from "../../services/backends/environments.venv.ts";
import { packProject } from "../../services/project/project-folder.ts";
import { SPEC_DEFAULTS } from "../../services/protocol/api-spec.parse.ts";
import { startFakeS3 } from "../support/fake-s3.ts";

const REPOSITORY = join(import.meta.dirname, "../..");
/** Kept between runs: an environment is made once per requirements. */
const ROOT = join(REPOSITORY, ".cache/test-environments");

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-examples-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Runs a program in the example's own environment; answers what it printed last, as JSON. */
async function inExample(
  example: string,
  program: readonly string[],
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  const cwd = join(REPOSITORY, "examples", example);
  const { files } = await packProject(cwd, "/nobody-s-home");
  const environments = new VenvEnvironments({ root: ROOT, python: "python3", env: process.env, clock: realClock });
  const key = await environments.build(files, SPEC_DEFAULTS.dependencies, () => undefined);
  const lines: string[] = [];
  const command = { file: environmentPython(ROOT, key ?? ""), args: ["-B", "-c", program.join("\n"), ...args], cwd };
  const signal = new AbortController().signal;
  const end = await runCommand(
    { ...command, env: { ...process.env, ...variables } },
    (line) => lines.push(line),
    signal,
  );
  if (end.exitCode !== 0) throw new Error(lines.join("\n"));
  return JSON.parse(lines.at(-1) ?? "null");
}

describe("examples", () => {
  it("file-types names what is in files, whatever they are called", async () => {
    const html = "<!DOCTYPE html><html><head><title>x</title></head><body><p>hello</p></body></html>\n".repeat(4);
    await writeFile(join(folder, "a page.pdf"), html);
    await writeFile(
      join(folder, "main.py"),
      'import os\n\n\ndef main():\n    print(os.getcwd())\n\n\nif __name__ == "__main__":\n    main()\n',
    );
    const uris = ["a page.pdf", "main.py", "gone.txt"].map((name) => pathToFileURL(join(folder, name)).href);
    const program = [
      "import json, sys",
      "from handler import Handler",
      "print(json.dumps(Handler({}).handle_batch(sys.argv[1:])))",
    ];

    expect(await inExample("file-types", program, uris)).toMatchObject([
      { path: join(folder, "a page.pdf"), label: "html", mime: "text/html", misnamed: true },
      { label: "python", group: "code", misnamed: false },
      { path: join(folder, "gone.txt"), error: "file_not_found_error" },
    ]);
  });

  it("file-types fetches only the ends of objects in S3", async () => {
    const s3 = await startFakeS3();
    try {
      s3.objects.set(
        "in/page.pdf",
        Buffer.from(`<!DOCTYPE html><html><body>${"<p>hello</p>\n".repeat(100_000)}</body></html>`),
      );
      const uris = ["s3://data/in/page.pdf", "s3://data/in/gone.txt"];
      const program = [
        "import json, sys",
        "from handler import Handler",
        "print(json.dumps(Handler({}).handle_batch(sys.argv[1:])))",
      ];
      const access = { AWS_ACCESS_KEY_ID: "somebody", AWS_SECRET_ACCESS_KEY: "secret", AWS_REGION: "eu-central-1" };

      const variables = { ...access, AWS_DEFAULT_REGION: "eu-central-1", AWS_ENDPOINT_URL: s3.endpoint };
      expect(await inExample("file-types", program, uris, variables)).toMatchObject([
        { path: uris[0], label: "html", group: "code" },
        { path: uris[1], error: "file_not_found_error" },
      ]);
      const ranges = s3.seen
        .filter(({ method }) => method === "GET")
        .map(({ headers }) => headers.range ?? "all of it");
      expect(ranges.length).toBeGreaterThan(0);
      expect(ranges).not.toContain("all of it");
    } finally {
      await s3.close();
    }
  });

  it("gpu-check tells the GPUs there are, or what to change", async () => {
    const program = [
      "import json, sys",
      "sys.dont_write_bytecode = True",
      "from handler import Handler",
      "rows = Handler({'required': False}).handle_batch([1, 2])",
      "error = ''",
      "try:",
      "    Handler({'required': True})",
      "except RuntimeError as refused:",
      "    error = str(refused)",
      "print(json.dumps({'gpus': rows[0]['gpus'], 'rows': len(rows), 'error': error}))",
    ];
    const cwd = join(REPOSITORY, "examples/gpu-check");
    const lines: string[] = [];
    const command = { file: "python3", args: ["-B", "-c", program.join("\n")], cwd, env: process.env };

    await runCommand(command, (line) => lines.push(line), new AbortController().signal);

    const told = JSON.parse(lines.at(-1) ?? "") as { gpus: readonly unknown[]; rows: number; error: string };
    expect(told.rows).toBe(2);
    expect(told.error === "").toBe(told.gpus.length > 0);
    if (told.gpus.length === 0) expect(told.error).toContain("this worker sees no GPU: ask for one");
  });

  it("digits reads most images right, and sums the batches' reports up", async () => {
    const program = [
      "import json, sys",
      "import make_images",
      "from handler import Handler",
      "folder = sys.argv[1]",
      "make_images.main(folder + '/digits.ndjson', '1000')",
      "items = [json.loads(line) for line in open(folder + '/digits.ndjson')]",
      "handler = Handler({'train_images': 1000, 'reports': folder + '/reports'}, {'job_id': 'j'})",
      "for start in list(range(0, 797, 100)) + [0]:",
      "    results = handler.handle_batch(items[start:start + 100], f'batch-{start}')",
      "handler.on_job_complete()",
      "print(json.dumps(results[0]))",
    ];

    expect(await inExample("digits", program, [folder])).toEqual({ digit: 1, right: true });
    const accuracy = JSON.parse(await readFile(join(folder, "reports/j/accuracy.json"), "utf8")) as {
      accuracy: number;
    };
    expect(accuracy).toMatchObject({ images: 797 });
    expect(accuracy.accuracy).toBeGreaterThan(0.95);
    expect(await readdir(join(folder, "reports/j/batches"))).toHaveLength(8);
  });
});
