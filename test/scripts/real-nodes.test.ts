import { describe, expect, it } from "vitest";
import { hasCapability, whyNoRealNodes } from "../../scripts/real-nodes.ts";

describe("real nodes", () => {
  it("are forbidden by MILLRACE_TEST_NODES=none on every machine", () => {
    expect(whyNoRealNodes({ MILLRACE_TEST_NODES: "none" })).toContain("MILLRACE_TEST_NODES");
  });

  it("are judged by the effective capabilities", () => {
    const status = (effective: string): string => `Name:\tnode\nCapPrm:\t000001ffffffffff\nCapEff:\t${effective}\n`;

    expect(hasCapability(status("000001ffffffffff"), 21n)).toBe(true);
    expect(hasCapability(status("00000000a80425fb"), 21n)).toBe(false); // a container's usual set
    expect(hasCapability("Name:\tnode\n", 21n)).toBe(false);
  });
});
