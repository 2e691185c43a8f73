import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock, Random } from "./clock.ts";

/** The machine's own clocks. */
export const realClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  async sleep(milliseconds, signal) {
    try {
      await sleep(milliseconds, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      signal?.throwIfAborted(); // the signal's own reason, not the timer's error around it
      throw error;
    }
  },
};

/** The operating system's own randomness for names; the language's for jitter. */
export const realRandom: Random = {
  hex: (bytes) => randomBytes(bytes).toString("hex"),
  fraction: () => Math.random(),
};
