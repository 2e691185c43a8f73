import fc from "fast-check";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import wabt from "wabt";
import { LineCutter, LineScanner } from "../../../services/batch-api/splitter/lines.ts";
import { LINES_WASM } from "../../../services/batch-api/splitter/lines.wasm.ts";

const text = fc.array(fc.constantFrom("a", "é", " ", "\t", "\r\n", "\n", "\n\n", "x".repeat(70), "\u0000"), {
  maxLength: 60,
});

/** Ends of every `perSpan`-th non-blank line, the slow way. */
function slowEnds(bytes: Buffer, perSpan: number): number[] {
  const ends: number[] = [];
  let items = 0;
  let solid = false;
  bytes.forEach((byte, at) => {
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d && byte !== 0x0a) solid = true;
    if (byte !== 0x0a) return;
    if (solid) items += 1;
    if (solid && items % perSpan === 0) ends.push(at + 1);
    solid = false;
  });
  return ends;
}

describe("LineCutter", () => {
  it("ends spans where the slow way does, however the bytes are cut into chunks", () => {
    fc.assert(
      fc.property(
        text,
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 3, max: 200 }),
        (parts, perSpan, chunkBytes) => {
          const bytes = Buffer.from(parts.join(""));
          const scanner = new LineScanner(chunkBytes, 4);
          const cutter = new LineCutter(scanner);
          cutter.begin(0);
          const ends: number[] = [];
          for (let base = 0; base < bytes.length; base += chunkBytes) {
            const piece = bytes.subarray(base, base + chunkBytes);
            const slot = scanner.buffers[(base / chunkBytes) % scanner.buffers.length] ?? Buffer.alloc(0);
            slot.fill(0x0a); // what an earlier chunk left behind must not count
            const chunk = slot.subarray(0, piece.copy(slot));
            for (let at = 0; at < chunk.length;) {
              at = cutter.take(chunk, base, at, perSpan - cutter.items);
              if (cutter.items < perSpan) continue;
              ends.push(base + at);
              cutter.begin(base + at);
            }
          }
          expect(ends).toEqual(slowEnds(bytes, perSpan));
        },
      ),
      { numRuns: 500 },
    );
  });

  it("is what its source assembles to", async () => {
    const source = readFileSync(new URL("../../../services/batch-api/splitter/lines.wat", import.meta.url), "utf8");
    const assembled = (await wabt()).parseWat("lines.wat", source, { simd: true }).toBinary({}).buffer;

    expect(Buffer.from(assembled).toString("base64")).toBe(LINES_WASM);
  });
});
