import { describe, expect, it } from "vitest";
import { realClock } from "../../services/backends/clock.real.ts";
import type { HeldBatch } from "../../services/worker/hand.ts";
import type { Handler } from "../../services/worker/handlers/handler.ts";
import type { Payload } from "../../services/worker/payload-reader.ts";
import { Slot } from "../../services/worker/slot.ts";

const HELD: HeldBatch = {
  message: { kind: "batch", format: 1, job: "e00000000000000a", epoch: 1, batch: 0, attempt: 1, first_item: 0, pointer: { items: 0, spans: [] } }, // prettier-ignore
  receipt: "r",
  alone: false,
  redelivered: false,
  begun: false,
  unbegun: 0,
};
const PAYLOAD: Payload = { array: Buffer.from("[]"), items: () => [] };

/** A killed process that is not gone yet. */
function aDyingHandler(): Handler {
  return {
    start: () => Promise.resolve({ hook: false }),
    run: () => Promise.resolve({ kind: "not_begun" }),
    complete: () => Promise.resolve({ kind: "not_begun" }),
    tellTotalBatches: () => {},
    kill: () => {},
    close: () => Promise.resolve(),
    ended: new Promise(() => {}),
  };
}

describe("a slot", () => {
  it("takes nothing more for a handler that begins nothing any more, until another one is in its place", async () => {
    const slot = new Slot(0, realClock);
    slot.handler = aDyingHandler();
    const before = slot.takesMore;

    const result = await slot.run(HELD, () => PAYLOAD);
    const after = slot.takesMore;
    slot.handler = aDyingHandler();

    expect(result).toEqual({ kind: "not_begun" });
    expect([before, after, slot.takesMore]).toEqual([true, false, true]);
  });
});
