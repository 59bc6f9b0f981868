/** Subnets of new networks: given ones completed, free ones found. Pure. */
import { UserError } from "../base/errors.ts";
import {
  bigIntToIp,
  type Cidr,
  contains,
  formatCidr,
  formatIP,
  ipToBigInt,
  lastOf,
  networkOf,
  parseCidr,
  parseIP,
} from "../wire/addr.ts";
import type { Subnet } from "./definition.ts";

/** A subnet as it was asked for. */
export interface SubnetRequest {
  subnet: string;
  gateway?: string;
  /** The part of it that addresses are given out from, as a network of its own. */
  range?: string;
}

export const overlap = (a: Cidr, b: Cidr): boolean => contains(a, b.ip) || contains(b, a.ip);

const after = (cidr: Cidr) => formatIP(bigIntToIp(ipToBigInt(networkOf(cidr)) + 1n, cidr.ip.family));

/** The subnet with its gateway (where the host is one) and its range. Throws UserError in Podman's words. */
export function completeSubnet(
  cidr: Cidr,
  asked: Pick<SubnetRequest, "gateway" | "range">,
  isGateway: boolean,
): Subnet {
  const text = formatCidr({ ip: networkOf(cidr), prefix: cidr.prefix });
  if (cidr.prefix > cidr.ip.bytes.length * 8 - 2)
    throw new UserError(`subnet ${text} is too small to give out addresses`);
  const inside = (what: string, address: string) => {
    if (!contains(cidr, parseIP(address)!)) throw new UserError(`${what} ${address} not in subnet ${text}`);
    return address;
  };
  const gateway = asked.gateway && inside("gateway", asked.gateway);
  const range = rangeOf(asked.range);
  return {
    subnet: text,
    gateway: gateway ?? (isGateway ? after(cidr) : undefined),
    lease_range: range && {
      start_ip: inside("lease range start ip", range.first),
      end_ip: inside("lease range end ip", range.last),
    },
  };
}

/** First and last address of a range; its own network address is left out, as Podman does. */
function rangeOf(text: string | undefined): { first: string; last: string } | undefined {
  if (text === undefined) return undefined;
  const cidr = parseCidr(text);
  if (!cidr) throw new UserError(`invalid CIDR address: ${text}`);
  const single = cidr.prefix === cidr.ip.bytes.length * 8;
  return { first: single ? formatIP(cidr.ip) : after(cidr), last: formatIP(lastOf(cidr)) };
}

const FIRST_FREE = ipToBigInt(parseIP("10.89.0.0")!);
const LAST_FREE = ipToBigInt(parseIP("10.255.255.0")!);
const ATTEMPTS = 1000;

/** A network that overlaps none of those taken: the first /24 from 10.89.0.0 on, or a random /64 of fd00::/8 (RFC 4193). */
export function freeSubnet(family: 4 | 6, taken: readonly Cidr[]): Cidr {
  const isFree = (cidr: Cidr) => !taken.some(one => overlap(one, cidr));
  if (family === 4)
    for (let base = FIRST_FREE; base <= LAST_FREE; base += 256n) {
      const cidr: Cidr = { ip: bigIntToIp(base, 4), prefix: 24 };
      if (isFree(cidr)) return cidr;
    }
  else
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const bytes = new Uint8Array(16);
      crypto.getRandomValues(bytes.subarray(1, 8));
      bytes[0] = 0xfd;
      const cidr: Cidr = { ip: { family: 6, bytes }, prefix: 64 };
      if (isFree(cidr)) return cidr;
    }
  throw new UserError("could not find free subnet from subnet pools", { hint: "give one with --subnet" });
}
