import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const MAIN = join(import.meta.dirname, "..", "..", "infra", "main.mjs");

/** What a Node says to the entry, with no engine behind it. */
function started(
  node: string,
  ...options: readonly string[]
): { readonly status: number | null; readonly said: string } {
  const { status, stderr } = spawnSync(node, [...options, MAIN], { encoding: "utf8" });
  return { status, said: stderr };
}

/** The Node of this machine, which Pulumi would find; on some it reads TypeScript and on some there is none. */
function olderNodes(): readonly string[] {
  return ["/usr/bin/node", "/usr/local/bin/node"].filter((node) => {
    const { stdout } = spawnSync(node, ["-p", "Boolean(process.features.typescript)"], { encoding: "utf8" });
    return (stdout as string | null)?.trim() === "false";
  });
}

describe("the entry of pulumi up", () => {
  it("tells a Node that reads no TypeScript which one to take", () => {
    const nodes = [[process.execPath, "--no-strip-types"] as const, ...olderNodes().map((node) => [node] as const)];

    for (const [node, ...options] of nodes) {
      const { status, said } = started(node, ...options);

      expect(status, node).not.toBe(0);
      expect(said).toMatch(/Node \d+\.\d+\.\d+ \(.*\) cannot run this stack's program/);
      expect(said).toContain("it takes Node 24 or newer");
      expect(said).toContain("npx -c 'pulumi up'");
      expect(said).not.toMatch(/SyntaxError|ERR_UNKNOWN_FILE_EXTENSION/);
    }
  });

  it("starts the program on the Node of this repository", () => {
    const { said } = started(process.execPath);

    expect(said).toContain("RunError: The settings of stack");
    expect(said).toContain("millrace:apiServerCidrs");
  });
});
