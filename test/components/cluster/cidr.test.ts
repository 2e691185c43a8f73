import { describe, expect, it } from "vitest";
import { cidrText, contains, isPrivate, parseCidr, part } from "../../../components/cluster/cidr.ts";

const range = (text: string) => parseCidr(text) ?? { first: -1, prefix: -1 };

describe("a range of addresses", () => {
  it.each(["10.0.0.0", "10.0.0.0/33", "10.0.0.256/8", "10.0.0/8", "2001:db8::/32", "a.b.c.d/8", " 10.0.0.0/8", ""])(
    "is none: %j",
    (text) => {
      expect(parseCidr(text)).toBeUndefined();
    },
  );

  it("is told from its first address on", () => {
    expect(cidrText(range("203.0.113.7/24"))).toBe("203.0.113.0/24");
    expect(cidrText(range("255.255.255.255/32"))).toBe("255.255.255.255/32");
    expect(cidrText(range("0.0.0.0/0"))).toBe("0.0.0.0/0");
  });

  it.each([
    ["10.0.0.0/8", true],
    ["172.31.255.0/24", true],
    ["172.32.0.0/24", false],
    ["192.168.0.0/15", false],
    ["100.64.3.0/24", true],
    ["203.0.113.7/32", false],
    ["0.0.0.0/0", false],
  ])("%s is private: %s", (text, expected) => {
    expect(isPrivate(range(text))).toBe(expected);
  });

  it("contains itself and its parts, and nothing beside it", () => {
    const outer = range("10.0.0.0/16");

    expect(contains(outer, outer)).toBe(true);
    expect(contains(outer, range("10.0.255.255/32"))).toBe(true);
    expect(contains(outer, range("10.1.0.0/32"))).toBe(false);
    expect(contains(outer, range("10.0.0.0/15"))).toBe(false);
  });

  it("has parts that follow each other", () => {
    expect([0, 1, 7].map((n) => part(range("10.40.0.0/16"), 19, n))).toEqual([
      "10.40.0.0/19",
      "10.40.32.0/19",
      "10.40.224.0/19",
    ]);
  });
});
