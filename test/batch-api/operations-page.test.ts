import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ENV } from "../../services/protocol/environment.ts";
import { SERVICE_EXIT, WORKER_EXIT } from "../../services/protocol/exit-codes.ts";
import { SERVICE_RULES } from "../cloud/support/namespace.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/operations.md"), "utf8");

/** Words in backticks of each cell of the rows of the table below a heading. */
function tableUnder(heading: string): string[][][] {
  const section = page.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("|") && !/^\| *-/.test(line));
  return rows.slice(1).map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, word]) => word ?? "")),
  );
}

describe("docs/operations.md", () => {
  it("shows the service's rights in Kubernetes as the cluster tests grant them", () => {
    const shown = tableUnder("Rights in Kubernetes").map(([group, resources, verbs]) => {
      return { apiGroups: group?.length === 0 ? [""] : group, resources, verbs };
    });

    expect(shown).toEqual(SERVICE_RULES);
  });

  it("names every environment variable", () => {
    expect(Object.values(ENV).filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });

  it("names every exit code of service and worker", () => {
    const [codes = ""] = /^Exit codes: .*$/m.exec(page) ?? [];
    const told = [...codes.matchAll(/\b(\d+)\b/g)].map(([code]) => Number(code));

    expect(new Set(told)).toEqual(new Set([...Object.values(WORKER_EXIT), ...Object.values(SERVICE_EXIT)]));
  });
});
