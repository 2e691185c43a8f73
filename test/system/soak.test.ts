import { describe, expect, it } from "vitest";
import type { Deed, Target } from "./soak/chaos.ts";
import { soak } from "./soak/soak.ts";

const SECONDS = 60;

describe("a whole system that is killed and frozen at random for a minute", () => {
  it("loses nothing, counts exactly, repeats only what a blow explains, and leaves nothing behind", async () => {
    const report = await soak({ seconds: SECONDS, seed: 1, say: () => undefined });

    // What never happened was not tried.
    const struck = (target: Target, deed: Deed) =>
      report.events.filter((event) => event.target === target && event.deed === deed).length;
    for (const target of ["service", "worker", "handler"] as const) {
      expect(struck(target, "kill"), `kills of a ${target}`).toBeGreaterThan(0);
      expect(struck(target, "freeze"), `freezes of a ${target}`).toBeGreaterThan(0);
    }
    expect(struck("service", "long freeze"), "services that slept through their leases").toBeGreaterThan(0);
    expect(struck("worker", "long freeze"), "workers that slept through their leases").toBeGreaterThan(0);
    expect(report.starts).toBeGreaterThan(3);
    expect(report.settledInChaos).toBeGreaterThan(0);
  });
});
