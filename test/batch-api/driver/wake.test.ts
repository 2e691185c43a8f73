import { describe, expect, it } from "vitest";
import { Wake } from "../../../services/batch-api/driver/wake.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const never = new AbortController().signal;

/** A pause of 8 to 250 ms; `at` is called at times, `overAtMs` is when the pause ended. */
function aPause(signal = never) {
  const clock = new VirtualClock();
  const wake = new Wake(clock);
  const pause = () => wake.pause(8, 250, signal).then(() => clock.monotonicMs());
  return { clock, wake, pause };
}

describe("Wake", () => {
  it("pauses for its longest time when nobody calls", async () => {
    const { clock, pause } = aPause();

    const overAtMs = pause();
    await clock.advance(1_000);

    expect(await overAtMs).toBe(250);
  });

  it("ends at once when somebody calls after the shortest time", async () => {
    const { clock, wake, pause } = aPause();

    const overAtMs = pause();
    await clock.advance(100);
    wake.call();
    await clock.advance(0);
    await clock.advance(1_000);

    expect(await overAtMs).toBe(100);
  });

  it("lasts its shortest time however early somebody calls", async () => {
    const { clock, wake, pause } = aPause();

    const overAtMs = pause();
    await clock.advance(2);
    wake.call();
    await clock.advance(0);
    await clock.advance(1_000);

    expect(await overAtMs).toBe(8);
  });

  it("remembers a call from before the pause, once", async () => {
    const { clock, wake, pause } = aPause();

    wake.call();
    const first = pause();
    await clock.advance(1_000);
    const second = pause();
    await clock.advance(1_000);

    expect(await first).toBe(8);
    expect(await second).toBe(1_250);
  });

  it("rejects with the signal's reason, before, during and at the end", async () => {
    for (const abortAtMs of [0, 2, 100]) {
      const end = new AbortController();
      const { clock, pause } = aPause(end.signal);
      if (abortAtMs === 0) end.abort(new Error("over"));

      const paused = expect(pause()).rejects.toThrow("over");
      await clock.advance(abortAtMs);
      end.abort(new Error("over"));
      await clock.advance(1_000);

      await paused;
    }
  });

  it("leaves nothing behind on a signal that lives long", async () => {
    const end = new AbortController();
    const { clock, pause } = aPause(end.signal);
    let listeners = 0;
    const { addEventListener, removeEventListener } = end.signal;
    end.signal.addEventListener = (...given: Parameters<typeof addEventListener>) => {
      listeners += 1;
      addEventListener.apply(end.signal, given);
    };
    end.signal.removeEventListener = (...given: Parameters<typeof removeEventListener>) => {
      listeners -= 1;
      removeEventListener.apply(end.signal, given);
    };

    const overAtMs = pause();
    await clock.advance(1_000);
    await overAtMs;

    expect(listeners).toBe(0);
  });
});
