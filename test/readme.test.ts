import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { maskedTranscript } from "./support/demo-transcript.ts";

const ROOT = join(import.meta.dirname, "..");

describe("the README", () => {
  it("shows what the demo prints, figures aside", () => {
    const shown = /```text\n(Millrace [\s\S]*?)```/.exec(readFileSync(join(ROOT, "README.md"), "utf8"))?.[1] ?? "";

    // `test/system/demo.test.ts` holds the same file against a real run.
    expect(maskedTranscript(shown)).toBe(readFileSync(join(ROOT, "test/golden/demo.txt"), "utf8"));
  });

  it("names only files that are there", () => {
    const links = readFileSync(join(ROOT, "README.md"), "utf8").matchAll(/\]\(([^):]+)\)/g);

    for (const [, link = ""] of links)
      expect(() => readFileSync(join(ROOT, link.split("#")[0] ?? ""))).not.toThrow("ENOENT");
  });
});
