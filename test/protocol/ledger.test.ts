import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeLine, type LedgerLine } from "../../services/protocol/ledger.ts";
import { parseLines } from "../../services/protocol/ledger.parse.ts";

const text = fc.oneof(fc.string(), fc.constantFrom("", "\n", "a\nb", '"},{"t":', "\u2028", "ü€😀", "\\", "\r\n"));
const line: fc.Arbitrary<LedgerLine> = fc.oneof(
  fc.record({ t: fc.constant("start_failed" as const), error: text, traceback: text }),
  fc.record({ t: fc.constant("left" as const), why: text }),
  fc.record({ t: fc.constant("started" as const), batch: fc.nat(), attempt: fc.nat(30) }),
  fc.record({ t: fc.constant("handed_back" as const), batches: fc.array(fc.nat()) }),
);

describe("ledger lines", () => {
  it("come back as they were written, whatever their texts hold", () => {
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const bytes = Buffer.from(lines.map(encodeLine).join(""));

        expect(parseLines(bytes)).toEqual({ lines, consumed: bytes.length });
      }),
    );
  });

  it("are dropped when they are torn, at whichever byte, and read once they are whole", () => {
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 4 }), (lines) => {
        const bytes = Buffer.from(lines.map(encodeLine).join(""));
        for (let torn = 0; torn <= bytes.length; torn += 1) {
          const first = parseLines<LedgerLine>(bytes.subarray(0, torn));
          const rest = parseLines<LedgerLine>(bytes.subarray(first.consumed));

          expect(first.consumed).toBeLessThanOrEqual(torn);
          expect(bytes.subarray(first.consumed, torn).includes(10)).toBe(false);
          expect([...first.lines, ...rest.lines]).toEqual(lines);
        }
      }),
      { numRuns: 40 },
    );
  });

  it("are none in no bytes", () => {
    expect(parseLines(Buffer.alloc(0))).toEqual({ lines: [], consumed: 0 });
  });

  it("throw, and do not quote the line, when a whole one is damaged", () => {
    const bytes = Buffer.from('{"t":"left","why":"x"}\n{"secret":\n');

    expect(() => parseLines(bytes)).toThrow(/complete line that is not JSON: it was damaged/);
    expect(() => parseLines(bytes)).not.toThrow(/secret/);
  });
});

describe("encodeLine", () => {
  it("writes a success with what fits into the memory that reads back as it was", () => {
    const line = {
      t: "outcome",
      batch: 1,
      attempt: 3,
      result: "all",
      items: 64,
      failed: 0,
      seconds: 1,
      fits: 8,
    } as const;

    expect(parseLines(Buffer.from(encodeLine(line))).lines).toEqual([line]);
  });

  it("writes a success that reads back as it was", () => {
    const line = { t: "outcome", batch: 7, attempt: 1, result: "all", items: 3, failed: 0, seconds: 1e-7 } as const;
    const withRows = { ...line, rows: { part: 0, start: 10, end: 20, rows: 3 } };
    const withErrors = { ...withRows, errors: { part: 0, start: 0, end: 9, rows: 1 } };

    for (const one of [line, withRows, withErrors]) expect(JSON.parse(encodeLine(one))).toEqual(one);
  });
});
