import { describe, expect, it } from "vitest";
import { networkCallers } from "../../../services/batch-api/auth/networks.ts";

const callers = networkCallers({ kind: "network", cidrs: ["10.0.0.0/16", "192.0.2.7/32", "2001:db8::/32"] });

describe("networkCallers", () => {
  it.each(["10.0.0.1", "10.0.255.255", "192.0.2.7", "::ffff:10.0.3.4", "2001:db8:1::5"])("lets %s in", (peer) => {
    expect(callers.admit({ headers: {}, peer })).toEqual({
      kind: "admitted",
      principal: "network",
      scopes: ["submit"],
    });
  });

  it.each(["10.1.0.1", "192.0.2.8", "127.0.0.1", "::1", "::ffff:10.1.0.1", "2001:db9::1", "", "10.0.0.1, 8.8.8.8"])(
    "refuses %j, whatever its headers say",
    (peer) => {
      const headers = { "x-forwarded-for": "10.0.0.1", forwarded: "for=10.0.0.1", "x-real-ip": "10.0.0.1" };

      expect(callers.admit({ headers, peer })).toMatchObject({ kind: "refused", why: "other_network" });
    },
  );

  it("allows what it is told to", () => {
    const admins = networkCallers({ kind: "network", cidrs: ["10.0.0.0/16"], scope: "admin" });

    expect(admins.admit({ headers: {}, peer: "10.0.0.1" })).toMatchObject({ scopes: ["admin"] });
  });
});
