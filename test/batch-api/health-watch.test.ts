import { beforeEach, describe, expect, it } from "vitest";
import { HealthWatch } from "../../services/batch-api/health-watch.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

let clock: VirtualClock;
let said: string[];
let store: () => Promise<unknown>;
let watch: HealthWatch;

beforeEach(() => {
  clock = new VirtualClock();
  said = [];
  store = () => Promise.resolve();
  const log = {
    warn: (sentence: string) => void said.push(`warn: ${sentence}`),
    info: (sentence: string) => void said.push(`info: ${sentence}`),
  };
  watch = new HealthWatch({ "The store": () => store(), "Lane 0": () => Promise.resolve() }, clock, log);
});

describe("HealthWatch", () => {
  it("starts until all was asked once, then is ready", async () => {
    expect(watch.readiness().kind).toBe("starting");
    await watch.look();

    expect(watch.readiness()).toEqual({ kind: "ready" });
    expect(said).toEqual([]);
  });

  it("says when a fault comes, when it is another one, and when it goes; not how often it was seen", async () => {
    for (const fault of ["bucket acme is gone", "bucket acme is gone", "denied", undefined, undefined]) {
      store = () => (fault === undefined ? Promise.resolve() : Promise.reject(new Error(fault)));
      await watch.look();
      if (fault === "denied") expect(watch.readiness()).toEqual({ kind: "unwell", why: "The store: denied." });
    }

    expect(watch.readiness()).toEqual({ kind: "ready" });
    expect(said).toEqual([
      "warn: The store: bucket acme is gone",
      "warn: The store: denied",
      "info: The store answers again",
    ]);
  });

  it("does not wait for ever for an answer", async () => {
    store = () => new Promise(() => undefined);
    const looked = watch.look();
    await clock.advance(20_000);
    await looked;

    const why = "The store: no answer within 20 s; look at its network and its load.";
    expect(watch.readiness()).toEqual({ kind: "unwell", why });
    expect(clock.sleeping).toBe(0);
  });

  it("looks every ten seconds, and leaves at once when it is told to", async () => {
    let looks = 0;
    store = () => Promise.resolve((looks += 1));
    const end = new AbortController();
    const running = watch.run(end.signal);
    await clock.advance(0);
    await clock.advance(25_000);
    expect(looks).toBe(3);

    store = () => new Promise(() => undefined);
    await clock.advance(6_000);
    end.abort(new Error("the end"));
    await expect(running).rejects.toThrow("the end");
    expect([said, clock.sleeping]).toEqual([[], 0]);
  });
});
