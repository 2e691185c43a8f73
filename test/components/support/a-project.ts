/** Folders of handler projects, for components that read them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";

const HANDLER = "class Handler:\n    def handle_batch(self, payload):\n        return payload\n";

/** A project of that name; `spec` is more of its millrace.yaml. Removed when the test has ended. */
export function aProject(name: string, { spec = "", files = {} }: ProjectOptions = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "millrace-project-"));
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const yaml = `name: ${name}\nhandler:\n  type: python\n  path: handler.py\n${spec}`;
  for (const [path, text] of Object.entries({ "millrace.yaml": yaml, "handler.py": HANDLER, ...files })) {
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
}
