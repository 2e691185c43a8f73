/** IPv4 ranges as plain values: enough to check what was written, and to cut a network into subnets. */

/** A range that starts where it says: `10.0.0.0/16`. */
export interface Cidr {
  /** First address, as a number. */
  readonly first: number;
  readonly prefix: number;
}

const PATTERN = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/;

/** The ranges that no host in the internet has: RFC 1918, and RFC 6598, which AWS allows in a VPC too. */
const PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"];

/** The range that a text names; undefined: none. Bits beyond the prefix are cut: see `isExact`. */
export function parseCidr(text: string): Cidr | undefined {
  const numbers = PATTERN.exec(text)?.slice(1).map(Number);
  if (numbers === undefined) return undefined;
  const [a = 256, b = 256, c = 256, d = 256, prefix = 33] = numbers;
  if (prefix > 32 || [a, b, c, d].some((byte) => byte > 255)) return undefined;
  const size = 2 ** (32 - prefix);
  const address = ((a * 256 + b) * 256 + c) * 256 + d;
  return { first: Math.floor(address / size) * size, prefix };
}

export function cidrText({ first, prefix }: Cidr): string {
  const bytes = [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256);
  return `${bytes.join(".")}/${String(prefix)}`;
}

/** Whether each address of `inner` is one of `outer`. */
export function contains(outer: Cidr, inner: Cidr): boolean {
  return (
    inner.prefix >= outer.prefix &&
    Math.floor(inner.first / 2 ** (32 - outer.prefix)) * 2 ** (32 - outer.prefix) === outer.first
  );
}

export function isPrivate(range: Cidr): boolean {
  return PRIVATE.map(parseCidr).some((outer) => outer !== undefined && contains(outer, range));
}

/** The n-th of the equal parts of a range that have this prefix, counted from 0. */
export function part(range: Cidr, prefix: number, n: number): string {
  return cidrText({ first: range.first + n * 2 ** (32 - prefix), prefix });
}
