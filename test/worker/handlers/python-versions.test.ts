import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { describe, expect, it } from "vitest";
import { aProject, rowsOf } from "./python-project.ts";

const SUPPORTED = ["3.9", "3.10", "3.11", "3.12", "3.13"];

/** Everything that a project of Cortex may touch of ours. */
const CORTEX = `
import sys
from cortex_internal.lib.log import logger
class PythonPredictor:
    def __init__(self, config, job_spec, metrics_client):
        metrics_client.increment("started")
        self.spec = job_spec
    def predict(self, payload, batch_id):
        logger.info("at work", extra={"batch": batch_id})
        return [(self.spec["total_batch_count"], "%d.%d" % sys.version_info[:2]) for _ in payload]
    def on_job_complete(self):
        print("done")
`;

/** Each supported Python that this machine has, by version: on the path under its own name, or in pyenv's folder. */
function pythons(): readonly (readonly [version: string, command: string])[] {
  const pyenv = join(homedir(), ".pyenv/versions");
  const built = existsSync(pyenv) ? readdirSync(pyenv) : [];
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => !folder.includes(".pyenv/shims"));
  return SUPPORTED.flatMap((version) => {
    const inPyenv = built
      .filter((name) => name.startsWith(`${version}.`))
      .map((name) => join(pyenv, name, "bin/python"));
    const onPath = folders.map((folder) => join(folder, `python${version}`));
    const command = [...inPyenv, ...onPath].find((path) => existsSync(path));
    return command === undefined ? [] : [[version, command] as const];
  });
}

describe("the Python host", () => {
  it(
    "runs with every supported Python that this machine has, the logger shim included",
    { timeout: 60_000 },
    async () => {
      const found = pythons();
      expect(found).not.toEqual([]);

      for (const [version, python] of found) {
        const project = await aProject(CORTEX, { python });
        await project.start();
        const running = project.run("b", [1]);
        project.handler.tellTotalBatches(7);

        expect(rowsOf(await running)).toBe(`{"index":10,"result":[7,"${version}"]}\n`);
        expect(await project.handler.complete()).toMatchObject({ kind: "done" });
        await project.close();
        expect(project.lines.map(({ text }) => text).join("\n")).toContain('"message": "at work"');
      }
    },
  );
});
