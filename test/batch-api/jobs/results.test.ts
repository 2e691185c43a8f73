import { describe, expect, it } from "vitest";
import { readRanges } from "../../../services/batch-api/jobs/row-ranges.ts";
import { MemoryStore } from "../../../services/backends/object-store.memory.ts";
import { jobKeys } from "../../../services/protocol/keys.ts";
import { anEndedJob, aRunningJob, endJob, JOB, LEDGER_A, ledgerBytes, WORKER_A } from "../../support/a-job.ts";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import { aService, NOW, StepClock } from "./support.ts";

const forever = new AbortController().signal;
const KEYS = jobKeys(JOB.api, JOB.job);

async function rows(from: Awaited<ReturnType<typeof aService>>, follow = false): Promise<number[]> {
  const pieces: Buffer[] = [];
  for await (const piece of from.jobs.results(JOB.api, JOB.job, { follow, signal: forever })) pieces.push(piece);
  const lines = Buffer.concat(pieces).toString().split("\n").filter(Boolean);
  return lines.map((line) => (JSON.parse(line) as { index: number }).index);
}

async function failures(from: Awaited<ReturnType<typeof aService>>, follow = false) {
  const found: [number, number][] = [];
  for await (const row of from.jobs.errors(JOB.api, JOB.job, { follow, signal: forever })) {
    found.push([row.index, row.attempts]);
  }
  return found;
}

describe("results", () => {
  it("come in input order from the manifest of an ended job", async () => {
    const service = await aService();
    await anEndedJob(service.store);

    expect(await rows(service)).toEqual([0, 1, 2, 4, 5]);
    expect(await failures(service)).toEqual([
      [3, 1],
      [6, 2],
    ]);
  });

  it("are refused with the day and the setting once they are not kept any more", async () => {
    const service = await aService();
    await anEndedJob(service.store);
    const retention = { format: 1, state: "announced", at: NOW, setting: "--keep-results", days: 1, writes: 1 };
    await service.store.swap(KEYS.retention, encodeStored(retention), undefined);

    const gone = {
      code: "results_removed",
      message: /since 2027-01-15: they are kept for 1 day after .* \(--keep-results\)/,
    };
    await expect(rows(service)).rejects.toMatchObject(gone);
    await expect(failures(service)).rejects.toMatchObject(gone);
  });

  it("come from the ledgers while the job runs, up to the first batch that is not settled", async () => {
    const service = await aService();
    await aRunningJob(service.store, { ledgerA: LEDGER_A.slice(0, 3) });

    expect(await rows(service)).toEqual([0, 1, 2]);
    expect(await failures(service)).toEqual([[3, 1]]);
  });

  it("are the same from the ledgers as from the manifest", async () => {
    const [running, ended] = [await aService(), await aService()];
    await aRunningJob(running.store);
    await anEndedJob(ended.store);

    expect(await rows(running)).toEqual(await rows(ended));
    expect(await failures(running)).toEqual(await failures(ended));
  });

  it("are followed to the end, each row once", async () => {
    const service = await aService();
    await aRunningJob(service.store, { ledgerA: LEDGER_A.slice(0, 3) });
    const size = (await service.store.size(KEYS.ledger(WORKER_A, 0))) ?? 0;
    let sleeps = 0;
    service.clock.onSleep = async () => {
      sleeps += 1;
      if (sleeps === 2) await service.store.append(KEYS.ledger(WORKER_A, 0), ledgerBytes(LEDGER_A.slice(3)), size);
      if (sleeps === 3) await endJob(service.store);
    };

    expect(await rows(service, true)).toEqual([0, 1, 2, 4, 5]);
  });

  it("of a job that ended meanwhile come from its manifest, behind what was told", async () => {
    const service = await aService();
    await aRunningJob(service.store, { ledgerA: LEDGER_A.slice(0, 3) });
    const size = (await service.store.size(KEYS.ledger(WORKER_A, 0))) ?? 0;
    let sleeps = 0;
    service.clock.onSleep = async () => {
      sleeps += 1;
      if (sleeps !== 1) return;
      await service.store.append(KEYS.ledger(WORKER_A, 0), ledgerBytes(LEDGER_A.slice(3)), size);
      await endJob(service.store);
    };

    expect(await failures(service, true)).toEqual([
      [3, 1],
      [6, 2],
    ]);
  });

  it("name a part that lost bytes", async () => {
    const service = await aService();
    await anEndedJob(service.store);
    await service.store.delete(KEYS.results(WORKER_A, 0));

    await expect(rows(service)).rejects.toThrow(/results\/1-1-0-aa-00000000.ndjson is gone.*submit the job again/);
  });
});

describe("readRanges", () => {
  it("gives bytes in the order asked for, however they lie, with few reads", async () => {
    const store = new MemoryStore({ clock: new StepClock() });
    const parts = ["p/0", "p/1", "p/2"];
    const bytes = Buffer.from(Array.from({ length: 3000 }, (_, at) => at % 251));
    for (const key of parts) await store.put(key, bytes);
    const ranges = Array.from({ length: 300 }, (_, at) => ({
      key: `p/${String(at % 3)}`,
      start: at * 7,
      end: at * 7 + 5,
    }));
    let reads = 0;
    const counting = Object.assign(Object.create(store) as MemoryStore, {
      get: (...asked: Parameters<MemoryStore["get"]>) => {
        reads += 1;
        return store.get(...asked);
      },
    });

    const pieces: Buffer[] = [];
    for await (const piece of readRanges(counting, ranges)) pieces.push(piece);

    expect(Buffer.concat(pieces)).toEqual(Buffer.concat(ranges.map(({ start, end }) => bytes.subarray(start, end))));
    expect(reads).toBe(3);
  });

  it("reads a batch larger than a window piece by piece", async () => {
    const store = new MemoryStore({ clock: new StepClock() });
    await store.put("p/0", Buffer.alloc(5_000_000, 7));

    const sizes: number[] = [];
    for await (const piece of readRanges(store, [{ key: "p/0", start: 1, end: 5_000_000 }])) sizes.push(piece.length);

    expect(Math.max(...sizes)).toBeLessThanOrEqual(1024 * 1024);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(4_999_999);
  });
});
