import { describe, expect, it } from "vitest";
import { ENV } from "../../services/protocol/environment.ts";
import { SERVICE_EXIT, WORKER_EXIT } from "../../services/protocol/exit-codes.ts";
import { SERVICE_RULES } from "../../components/batch-api/service-rules.ts";
import { operationsPage as page, tableUnder, wordsOf } from "../support/operations-page.ts";

describe("docs/operations.md", () => {
  it("shows the service's rights in Kubernetes as the cluster tests grant them", () => {
    const shown = tableUnder("Rights in Kubernetes").map((row) => {
      const [group, resources, verbs] = row.map(wordsOf);
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
