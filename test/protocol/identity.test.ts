import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { batchId, isJobId, jobId } from "../../services/protocol/ids.ts";
import { jobKeys, parseWorkerName, workerName, workerOfLedger } from "../../services/protocol/keys.ts";
import { decodeMessage, encodeMessage } from "../../services/protocol/messages.ts";
import { batchesInSplit, pointerAt, SPLIT_FORMAT, splitOf, type SplitFile } from "../../services/protocol/pointers.ts";
import { aMessage } from "../support/messages.ts";

const RFC_9562_V5 = /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe("a job id", () => {
  it("has 16 lower-case hex digits, and the newest sorts first", () => {
    const time = fc.integer({ min: 0, max: 4_102_444_800_000 });
    const random = fc.stringMatching(/^[0-9a-f]{8}$/);
    fc.assert(
      fc.property(time, time, random, random, (a, b, randomA, randomB) => {
        const [older, newer] = [jobId(Math.min(a, b), randomA), jobId(Math.max(a, b), randomB)];

        expect(isJobId(older) && isJobId(newer)).toBe(true);
        if (a !== b) expect(newer < older).toBe(true);
      }),
    );
  });

  it.each(["", "e00000000000000", "e00000000000000aa", "E00000000000000A", "../../etc/passwd"])("is not %j", (text) => {
    expect(isJobId(text)).toBe(false);
  });
});

describe("a batch id", () => {
  it("is a UUID of version 5 in the form of RFC 9562, the same at every attempt", () => {
    expect(batchId("e00000000000000a", 7)).toMatch(RFC_9562_V5);
    expect(batchId("e00000000000000a", 7)).toBe(batchId("e00000000000000a", 7));
    // Once told to a user's handler, it must never change: results are deduplicated by it.
    expect(batchId("e00000000000000a", 7)).toBe("c63b7aa0-adbf-53a0-aa0d-35043a66561b");
  });

  it("is the hash of namespace and name, with version and variant laid over it", () => {
    const namespace = Buffer.from("6f0a1b5e29d34c6b9a5e6d2f8c417703", "hex");
    const hash = createHash("sha1").update(namespace).update("e00000000000000a/7").digest("hex");
    const plain = batchId("e00000000000000a", 7).replaceAll("-", "");

    expect(plain.slice(0, 12) + plain.slice(13, 16) + plain.slice(17)).toBe(
      hash.slice(0, 12) + hash.slice(13, 16) + hash.slice(17, 32),
    );
  });

  it("is another one for another batch, job or half", () => {
    const ids = [batchId("a", 1), batchId("a", 2), batchId("b", 1), batchId("a", 1, "/0"), batchId("a", 11)];

    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe("a worker's name", () => {
  it("tells its epoch, generation and index, also from its ledger's key", () => {
    const name = workerName(3, 2, 17, "deadbeef");

    expect(parseWorkerName(name)).toEqual({ epoch: 3, generation: 2, index: 17 });
    expect(workerOfLedger(jobKeys("digits", "e00000000000000a").ledger(name, 4))).toBe(name);
  });
});

describe("a message", () => {
  it("comes back as it was sent", () => {
    const ticket = { kind: "completion", format: 1, job: "e00000000000000a", epoch: 2, opening: 3 } as const;
    for (const message of [aMessage(3, { alone: true }), ticket]) {
      expect(decodeMessage(encodeMessage(message))).toEqual(message);
    }
  });

  it.each([
    "",
    "{",
    "null",
    "7",
    '"batch"',
    "[]",
    '{"kind":"batch"}',
    '{"kind":"batch","format":2}',
    '{"kind":"x","format":1}',
  ])("is not %s", (text) => {
    expect(decodeMessage(text)).toBeUndefined();
  });
});

describe("a split file's pointers", () => {
  it("are found by the number of their batch, in files of 64, 256, 1,024, then 4,096", () => {
    let first = 0;
    for (let split = 0; split < 6; split += 1) {
      expect(splitOf(first)).toEqual({ split, first });
      expect(splitOf(first + batchesInSplit(split) - 1)).toEqual({ split, first });
      first += batchesInSplit(split);
    }
    expect([0, 1, 2, 3, 4].map(batchesInSplit)).toEqual([64, 256, 1024, 4096, 4096]);
  });

  const file: SplitFile = {
    format: SPLIT_FORMAT,
    split: 0,
    first_batch: 0,
    first_item: 0,
    sources: [
      { uri: "file:///a", etag: "1", format: "lines" },
      { uri: "file:///b", etag: "2", format: "array" },
    ],
    batches: [
      [0, 0, 10, 3],
      [0, 10, 20, 2, 1, 0, 5, 1],
    ],
    cursor: null,
  };

  it("may span sources", () => {
    expect(pointerAt(file, 1)).toEqual({
      items: 3,
      spans: [
        { uri: "file:///a", etag: "1", format: "lines", start: 10, end: 20, items: 2 },
        { uri: "file:///b", etag: "2", format: "array", start: 0, end: 5, items: 1 },
      ],
    });
  });

  it("are refused where there is no batch or no source", () => {
    expect(() => pointerAt(file, 2)).toThrow("split 0 has no batch at offset 2");
    expect(() => pointerAt({ ...file, batches: [[7, 0, 1, 1]] }, 0)).toThrow("split 0 has no source 7");
  });
});
