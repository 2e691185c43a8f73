import { join } from "node:path";
import { describe, expect, it } from "vitest";

import { runCommand } from "../../services/backends/command-lines.ts";
import { packProject } from "../../services/project/project-folder.ts";
import { readProjectSpec } from "../../services/project/project-spec.ts";

const EXAMPLES = join(import.meta.dirname, "../../examples");

/** Runs a handler's batch method in a bare Python, and answers what it returned. */
async function handled(example: string, config: unknown, payload: unknown): Promise<unknown> {
  const program = [
    "import json, sys",
    "from handler import Handler",
    "config, payload = json.loads(sys.argv[1])",
    "print(json.dumps(Handler(config).handle_batch(payload)))",
  ].join("\n");
  const cwd = join(EXAMPLES, example);
  const lines: string[] = [];
  const args = ["-B", "-c", program, JSON.stringify([config, payload])];
  const signal = new AbortController().signal;
  const end = await runCommand({ file: "python3", args, cwd, env: process.env }, (line) => lines.push(line), signal);
  if (end.exitCode !== 0) throw new Error(lines.join("\n"));
  return JSON.parse(lines.at(-1) ?? "null");
}

describe("examples/word-count", () => {
  it("counts the words of each text, as its README says", async () => {
    const texts = ["to be or not to be", "all the world's a stage", "", "Ça va? ÇA VA!"];

    expect(await handled("word-count", { top: 3 }, texts)).toEqual([
      { words: 6, most: { be: 2, to: 2, not: 1 } },
      { words: 5, most: { a: 1, all: 1, stage: 1 } },
      { words: 0, most: {} },
      { words: 4, most: { va: 2, ça: 2 } },
    ]);
  });

  it("refuses an item that is no text", async () => {
    await expect(handled("word-count", {}, [7])).rejects.toThrow("TypeError: expected a text, found int");
  });
});

describe("every example", () => {
  it.each(["word-count", "digits", "file-types"])("packs %s with a spec that parses without warnings", async (name) => {
    const { files } = await packProject(join(EXAMPLES, name), "/nobody-s-home");

    expect(readProjectSpec(files, name)).toMatchObject({ kind: "spec", warnings: [], spec: { name } });
  });
});
