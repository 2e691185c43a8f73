import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { MemoryStore } from "../../services/backends/object-store.memory.ts";
import { FinalResults } from "../../services/batch-api/driver/manifest.ts";
import { SplitReader } from "../../services/batch-api/driver/split-reader.ts";
import { readState } from "../../services/batch-api/jobs/state-record.ts";
import { readObject } from "../../services/batch-api/jobs/stored.ts";
import { verifyJob } from "../../services/batch-api/jobs/verify/verify.ts";
import { JOB_FORMAT, type ApiVersion, type Cut, type JobSpec } from "../../services/protocol/jobs.ts";
import { apiKeys, jobKeys } from "../../services/protocol/keys.ts";
import { LEDGER_FORMAT } from "../../services/protocol/ledger.ts";
import { decodeMessage, MESSAGE_FORMAT } from "../../services/protocol/messages.ts";
import { SPLIT_FORMAT } from "../../services/protocol/pointers.ts";
import { StoredFormatError } from "../../services/protocol/stored.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

/**
 * What a service of each format left behind, one line for each key of a store. Never written anew: when a format changes,
 * a folder is added, and today's code goes on reading the folders of this format and of the one before.
 */
const FIXTURES = join(import.meta.dirname, "../fixtures");
const API = "digits";
const JOB = "e00000000000000a";
const KEYS = jobKeys(API, JOB);

interface Stored {
  readonly key: string;
  readonly kind: "object" | "record";
  readonly text: string;
}

async function storeOf(format: number): Promise<MemoryStore> {
  const store = new MemoryStore({ clock: new VirtualClock() });
  const text = readFileSync(join(FIXTURES, `format-${String(format)}`, "ended-job.ndjson"), "utf8");
  for (const line of text.trimEnd().split("\n")) {
    const stored = JSON.parse(line) as Stored;
    if (stored.kind === "object") await store.put(stored.key, Buffer.from(stored.text));
    else await store.swap(stored.key, Buffer.from(stored.text), undefined);
  }
  return store;
}

describe("what a service of format 1 left behind", () => {
  it("is read by today's code: every invariant holds", async () => {
    const report = await verifyJob(await storeOf(1), API, JOB);

    expect(report.checks.filter(({ result }) => result !== "holds")).toEqual([]);
    expect(report).toMatchObject({ state: "completed_with_failures", sound: true, batches: 4, items: 7 });
  });

  it("gives the same manifest, byte for byte, when it is computed again", async () => {
    const store = await storeOf(1);
    const before = await store.get(KEYS.manifest);
    await store.delete(KEYS.manifest);
    const spec = await readObject<JobSpec>(store, KEYS.spec, JOB_FORMAT);
    const cut = await readObject<Cut>(store, KEYS.cut, JOB_FORMAT);
    if (spec === undefined || cut === undefined) throw new Error("the fixture has no spec, or no cut");
    const splits = new SplitReader(store, API, JOB, spec.input.batch_size);
    await splits.refresh();

    await (await FinalResults.read(store, spec, splits, cut)).write();

    expect((await store.get(KEYS.manifest))?.bytes.toString()).toBe(before?.bytes.toString());
  });

  it("names its version and its state", async () => {
    const store = await storeOf(1);

    const version = await readObject<ApiVersion>(store, apiKeys(API).version("v1"), JOB_FORMAT);
    expect(version).toMatchObject({ api: API, worker_format: 1, spec: { handler: { kind: "python" } } });
    expect((await readState(store, API, JOB)).state).toMatchObject({ cause: { kind: "settled" } });
  });

  it("holds messages that are still understood", () => {
    const lines = readFileSync(join(FIXTURES, "format-1", "messages.ndjson"), "utf8")
      .trimEnd()
      .split("\n");

    expect(lines.map((line) => decodeMessage(line))).toEqual(lines.map((line) => JSON.parse(line) as unknown));
  });
});

describe("stored formats", () => {
  it.each([JOB_FORMAT, LEDGER_FORMAT, SPLIT_FORMAT, MESSAGE_FORMAT])(
    "have a stored fixture for format %i",
    (format) => {
      expect(existsSync(join(FIXTURES, `format-${String(format)}`, "ended-job.ndjson"))).toBe(true);
    },
  );

  it("that are newer are left to the service that wrote them, with a sentence that says so", async () => {
    const store = await storeOf(1);
    await store.put(`${KEYS.root}newer.json`, Buffer.from('{"format":2}'));

    const read = readObject(store, `${KEYS.root}newer.json`, JOB_FORMAT);
    await expect(read).rejects.toThrow(StoredFormatError);
    await expect(read).rejects.toThrow(
      /has format 2, and this service reads format 1: leave it to the service version/,
    );
  });
});
