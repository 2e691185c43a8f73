import { describe, expect, it } from "vitest";
import { LedgerReader, type LedgerReaderOptions } from "../../../services/batch-api/driver/ledger-reader.ts";
import { SplitReader } from "../../../services/batch-api/driver/split-reader.ts";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import { jobKeys } from "../../../services/protocol/keys.ts";
import { encodeLine, type LedgerLine } from "../../../services/protocol/ledger.ts";
import { batchesInSplit } from "../../../services/protocol/pointers.ts";
import { WatchedWorld } from "../../support/watched-world.ts";

const [API, JOB, WORKER] = ["digits", "e00000000000000a", "1-1-0-aa"];
const KEYS = jobKeys(API, JOB);
const LEDGER = KEYS.ledger(WORKER, 0);

function anOutcome(batch: number): LedgerLine {
  return { t: "outcome", batch, attempt: 1, result: "all", items: 2, failed: 0, seconds: 1 };
}

class Growing {
  readonly world = new WatchedWorld();
  #bytes = 0;

  reader(over: Partial<LedgerReaderOptions> = {}): LedgerReader {
    return new LedgerReader({ store: this.world.store, api: API, job: JOB, attempts: 2, itemsOf: () => 2, ...over });
  }

  async append(text: string): Promise<void> {
    await this.world.memory.append(LEDGER, Buffer.from(text), this.#bytes);
    this.#bytes += Buffer.byteLength(text);
  }
}

describe("the reader of ledgers", () => {
  it("takes each line in once, as the ledger grows, and says whose grew", async () => {
    const ledger = new Growing();
    const heard: number[] = [];
    const reader = ledger.reader({ onOutcome: (_, { batch }) => heard.push(batch) });

    await ledger.append(encodeLine(anOutcome(0)));
    expect([...(await reader.refreshLedgers())]).toEqual([WORKER]);
    expect([...(await reader.refreshLedgers())]).toEqual([]);
    await ledger.append(encodeLine(anOutcome(1)) + encodeLine(anOutcome(2)));
    await reader.refreshLedgers();

    expect(heard).toEqual([0, 1, 2]);
    expect(reader.fold.counts.itemsSucceeded).toBe(6);
  });

  it("leaves a torn last line until its end comes", async () => {
    const ledger = new Growing();
    const reader = ledger.reader();
    const line = encodeLine(anOutcome(0));

    await ledger.append(line.slice(0, 20));
    expect((await reader.refreshLedgers()).size).toBe(0);
    expect(reader.consumed(KEYS.ledgers)).toEqual({ [LEDGER]: 0 });
    await ledger.append(line.slice(20));
    expect((await reader.refreshLedgers()).size).toBe(1);

    expect(reader.fold.settled).toBe(1);
    expect(reader.consumed(KEYS.ledgers)).toEqual({ [LEDGER]: line.length });
  });

  it("reads a line that is longer than one read", async () => {
    const ledger = new Growing();
    const long: LedgerLine = { t: "start_failed", error: "e", traceback: "x".repeat(9 * 1024 * 1024) };
    const reader = ledger.reader();

    await ledger.append(encodeLine(long) + encodeLine(anOutcome(0)));
    await reader.refreshLedgers();

    expect(reader.workers.get(WORKER)?.startFailed?.traceback).toHaveLength(9 * 1024 * 1024);
    expect(reader.fold.settled).toBe(1);
  });

  it("reads exactly the bytes of a cut, whatever came later", async () => {
    const ledger = new Growing();
    const first = encodeLine(anOutcome(0));
    await ledger.append(first + encodeLine(anOutcome(1)));

    const reader = ledger.reader({ cut: { format: 1, ledgers: { [LEDGER]: first.length }, verdicts: {} } });
    await reader.refreshLedgers();

    expect(reader.fold.settled).toBe(1);
  });

  it("counts no batch beyond the end of a split that ended early", async () => {
    const ledger = new Growing();
    await ledger.append(encodeLine(anOutcome(0)) + encodeLine(anOutcome(9)));

    const reader = ledger.reader({ batchesEnd: 9 });
    await reader.refreshLedgers();

    expect(reader.fold.settled).toBe(1);
  });

  it("counts the verdicts of each batch, one for each attempt", async () => {
    const ledger = new Growing();
    const died = { t: "died", batch: 3, attempt: 1, worker: WORKER, cause: "worker_died" } as const;
    const verdicts = Buffer.from(encodeLine(died) + encodeLine(died) + encodeLine({ ...died, attempt: 2 }));
    await ledger.world.memory.append(KEYS.verdict(1, 0), verdicts, 0);

    const reader = ledger.reader();
    await reader.refreshVerdicts();
    reader.addVerdict(died);

    expect([...reader.verdicts]).toEqual([[3, 2]]);
    expect(reader.fold.isSettled(3)).toBe(true);
  });
});

/** Split files of which every batch has two items; the last batch of the last file has `lastItems`. */
async function putSplits(world: WatchedWorld, from: number, to: number, lastItems = 2): Promise<void> {
  let first = 0;
  for (let split = 0; split < to; split += 1) {
    const count = split === to - 1 && lastItems !== 2 ? 10 : batchesInSplit(split);
    const batches = Array.from({ length: count }, (_, at) => [0, 4 * (first + at), 4 * (first + at) + 4, 2]);
    if (split === to - 1) batches[count - 1] = [0, 4 * (first + count - 1), 4 * (first + count), lastItems];
    const numbers = { format: 1, split, first_batch: first, first_item: 2 * first };
    const sources = [{ uri: "store:items", etag: "", format: "lines" }];
    if (split >= from)
      await world.memory.put(KEYS.split(split), encodeStored({ ...numbers, sources, batches, cursor: null }));
    first += count;
  }
}

describe("the reader of split files", () => {
  it("knows more batches as files appear, and that they are all once the end does", async () => {
    const world = new WatchedWorld();
    const reader = new SplitReader(world.store, API, JOB, 2);
    expect(await reader.refresh()).toBe(false);

    await putSplits(world, 0, 2);
    expect(await reader.refresh()).toBe(true);
    expect(reader).toMatchObject({ splits: 2, batches: 320, items: 640, complete: false });
    await putSplits(world, 2, 3, 1);
    const end = { format: 1, complete: true, splits: 3, batches: 330, items: 659 };
    await world.memory.put(KEYS.splitEnd, encodeStored(end));
    expect(await reader.refresh()).toBe(true);

    expect(reader).toMatchObject({ splits: 3, batches: 330, items: 659, complete: true });
    expect(await reader.refresh()).toBe(false);
  });

  it("names a file that the end counts and that is gone", async () => {
    const world = new WatchedWorld();
    const reader = new SplitReader(world.store, API, JOB, 2);
    await putSplits(world, 0, 1);
    await world.memory.put(
      KEYS.splitEnd,
      encodeStored({ format: 1, complete: true, splits: 2, batches: 74, items: 148 }),
    );

    await expect(reader.refresh()).rejects.toThrow(/splits\/00000001.json is gone/);
  });

  it("knows that only the last batch may be short", async () => {
    const world = new WatchedWorld();
    const reader = new SplitReader(world.store, API, JOB, 2);
    await putSplits(world, 0, 2, 1);

    await reader.refresh();

    expect([0, 63, 64, 72, 73].map((batch) => reader.itemsOf(batch))).toEqual([2, 2, 2, 2, 1]);
    expect(reader.items).toBe(147);
  });

  it("tells where any batch lies, and its first item", async () => {
    const world = new WatchedWorld();
    const reader = new SplitReader(world.store, API, JOB, 2);
    await putSplits(world, 0, 2);
    await reader.refresh();

    for (const batch of [0, 63, 64, 319]) {
      const { pointer, firstItem } = await reader.pointer(batch);
      expect(firstItem).toBe(2 * batch);
      expect(pointer.spans).toMatchObject([{ uri: "store:items", start: 4 * batch, end: 4 * batch + 4, items: 2 }]);
    }
  });
});
