/** For callers that cannot send a key: what counts is where they call from. */
import { BlockList, isIP } from "node:net";
import { NETWORK_SCOPE_DEFAULT, type NetworkAuthConfig } from "../../protocol/auth.ts";
import { parseNetwork } from "../../protocol/networks.ts";
import type { Authenticator } from "./admission.ts";

/**
 * Lets in whoever calls from these networks. The peer of the connection counts: what a header says of it, anybody can write.
 */
export function networkCallers({ cidrs, scope = NETWORK_SCOPE_DEFAULT }: NetworkAuthConfig): Authenticator {
  const allowed = new BlockList();
  for (const cidr of cidrs) {
    const network = parseNetwork(cidr);
    if (network !== undefined) allowed.addSubnet(network.address, network.bits, network.family);
  }
  return {
    schemes: {},
    admit({ peer }) {
      // An IPv4 peer of a socket for both shows as ::ffff:a.b.c.d, which the list takes for IPv4's.
      if (isIP(peer) !== 0 && allowed.check(peer, isIP(peer) === 6 ? "ipv6" : "ipv4")) {
        return { kind: "admitted", principal: "network", scopes: [scope] };
      }
      const fix = "call from one of the service's networks, or have yours added to its auth.cidrs";
      const fault = { field: "address", found: "one of another network", fix };
      return { kind: "refused", why: "other_network", fault };
    },
  };
}
