/** Networks in CIDR notation (RFC 4632, RFC 4291), judged without asking anybody. */
import { found } from "./fields.ts";

const IPV4_BITS = 32;
const IPV6_BITS = 128;

/** A network's address and how many of its bits count; undefined: it is none. */
export function parseNetwork(
  cidr: string,
): { readonly address: string; readonly bits: number; readonly family: "ipv4" | "ipv6" } | undefined {
  const [, address = "", digits = ""] = /^([0-9a-f:.]+)\/(\d{1,3})$/i.exec(cidr) ?? [];
  const family = isIpv4(address) ? "ipv4" : isIpv6(address) ? "ipv6" : undefined;
  const bits = Number(digits);
  if (family === undefined || bits > (family === "ipv4" ? IPV4_BITS : IPV6_BITS)) return undefined;
  return { address, bits, family };
}

/** What is wrong with a value that should be a network of callers; undefined: nothing. */
export function networkFault(cidr: unknown): { readonly found: string; readonly fix: string } | undefined {
  const network = typeof cidr === "string" ? parseNetwork(cidr) : undefined;
  if (network === undefined) {
    return { found: found(cidr), fix: "write a network such as 10.0.0.0/16, or one address as 10.0.3.7/32" };
  }
  if (network.bits > 0) return undefined;
  return { found: `${String(cidr)}, which is everybody`, fix: "name the networks that calls come from" };
}

/** Without leading zeros, which some programs read as octal. */
function isIpv4(address: string): boolean {
  const parts = address.split(".");
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

function isIpv6(address: string): boolean {
  return address.includes(":") && URL.canParse(`http://[${address}]/`);
}
