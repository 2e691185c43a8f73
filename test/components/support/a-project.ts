/** Folders of handler projects, for components that read them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll } from "vitest";

const HANDLER = "class Handler:\n    def handle_batch(self, payload):\n        return payload\n";

const made: string[] = [];

afterAll(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A project of that name; `spec` is more of its millrace.yaml. Removed when the file's tests have ended. */
export function aProject(name: string, { spec = "", files = {}, omit = [] }: ProjectOptions = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "millrace-project-"));
  made.push(folder);
  const yaml = `name: ${name}\nhandler:\n  type: python\n  path: handler.py\n${spec}`;
  for (const [path, text] of Object.entries({ "millrace.yaml": yaml, "handler.py": HANDLER, ...files })) {
    if (omit.includes(path)) continue;
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

interface ProjectOptions {
  /** Lines of millrace.yaml behind name and handler. */
  readonly spec?: string;
  /** By path; these win. */
  readonly files?: Readonly<Record<string, string>>;
  /** Paths of usual files that this one has not. */
  readonly omit?: readonly string[];
}
