import { describe, expect, it } from "vitest";
import type { Dataset } from "../../../../services/backends/dataset.ts";
import { MemoryStore } from "../../../../services/backends/object-store.memory.ts";
import { encodeStored } from "../../../../services/batch-api/jobs/stored.ts";
import { verifyJob } from "../../../../services/batch-api/jobs/verify/verify.ts";
import { Splitter } from "../../../../services/batch-api/splitter/splitter.ts";
import type { JobInput } from "../../../../services/protocol/jobs.ts";
import { apiKeys, jobKeys } from "../../../../services/protocol/keys.ts";
import { aJobSpec } from "../../../support/builders.ts";
import { StepClock } from "../support.ts";

const FILES: Readonly<Record<string, string>> = {
  "file:///d/a.jsonl": "\n1\n2\r\n\n3\n",
  "file:///d/b.jsonl": "[4, 5,\n 6]",
  "file:///d/c.jsonl": '{"a":\n 7}\n{"a": 8}   9',
};

const dataset: Dataset = {
  async *list(prefix) {
    await Promise.resolve();
    yield Object.entries(FILES)
      .filter(([uri]) => uri.startsWith(prefix))
      .map(([uri, text]) => ({ uri, sizeBytes: text.length, etag: "e" }));
  },
  read: (uri, { start, end }) => Promise.resolve(Buffer.from((FILES[uri] ?? "").slice(start, end))),
};

/** What the real splitter stores for an input, looked at. */
async function verified(input: JobInput, early = false) {
  const store = new MemoryStore({ clock: new StepClock() });
  const spec = aJobSpec({ input });
  const keys = jobKeys(spec.api, spec.job);
  await store.put(keys.spec, encodeStored(spec));
  await store.put(apiKeys(spec.api).activeJob(spec.job), Buffer.from("{}"));
  if (input.kind === "item_list") await store.put(keys.items(0), Buffer.from("1\n2\n3\n4\n5\n"));
  const splitter = new Splitter({ spec, store, dataset, ...(early ? { batchesIn: () => 64 } : {}) });
  for (let step = await splitter.step(); step.kind !== "ended"; step = await splitter.step()) {
    if (early && step.kind === "split") {
      await splitter.endEarly();
      break;
    }
  }
  const report = await verifyJob(store, spec.api, spec.job);
  const findings = report.checks.flatMap((check) => check.findings.map(({ problem }) => `${check.name}: ${problem}`));
  return { items: report.items, findings };
}

const paths = { includes: [], excludes: [] };

describe("verifyJob over what the splitter stores", () => {
  it("finds inline items sound", async () => {
    const input = { kind: "item_list", batch_size: 2, items: 5, bytes: 10 } as const;

    expect(await verified(input)).toEqual({ items: 5, findings: [] });
  });

  it("finds a listing of files sound, also one whose paths overlap", async () => {
    const input = { kind: "file_path_lister", batch_size: 2, paths: ["file:///d/", "file:///d/b"], ...paths } as const;

    expect(await verified(input)).toEqual({ items: 4, findings: [] });
  });

  it("finds batches over blank lines, arrays, pretty-printed values and overlapping paths sound", async () => {
    const input = { kind: "delimited_files", batch_size: 2, paths: ["file:///d/", "file:///d/a"], ...paths } as const;

    expect(await verified(input)).toEqual({ items: 12, findings: [] });
  });

  it("finds a split that was ended early sound", async () => {
    const input = { kind: "delimited_files", batch_size: 2, paths: ["file:///d/"], ...paths } as const;

    expect((await verified(input, true)).findings).toEqual([]);
  });
});
