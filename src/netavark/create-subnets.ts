/** Subnets of a network that `create` is asked for: given ones checked and completed, missing ones taken from what is free. Pure. */
import { UserError } from "../base/errors.ts";
import { overlap } from "../network/subnets.ts";
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
import type { CreateOptions, Used } from "./create.ts";
import type { Network, Subnet } from "./input.ts";

/** Throws UserError. */
export function readCidr(text: string): Cidr {
  const cidr = parseCidr(text);
  if (!cidr) throw new UserError(`invalid IP address syntax: ${JSON.stringify(text)}`);
  return cidr;
}

const base = (cidr: Cidr): Cidr => ({ ip: networkOf(cidr), prefix: cidr.prefix });

/** All subnets of the network. Throws UserError. */
export function completeSubnets(
  network: Network,
  ipam: string,
  used: Used,
  options: CreateOptions,
): Subnet[] {
  if (ipam !== "host-local") return [];
  const isGateway = network.driver === "bridge" && (!network.internal || network.dns_enabled);
  const asked = network.subnets.map(one => ({ one, cidr: base(readCidr(one.subnet)) }));
  for (const [index, { cidr }] of asked.entries()) {
    for (const { cidr: before } of asked.slice(0, index)) {
      if (formatCidr(before) === formatCidr(cidr))
        throw new UserError(`duplicate subnet defined: ${formatCidr(cidr)}`);
      if (overlap(before, cidr))
        throw new UserError(`overlapping subnets: ${formatCidr(before)} and ${formatCidr(cidr)}`);
    }
    // What has a parent lies on its wire's own subnet, where the host and other networks may be too.
    if (network.driver === "bridge" && options.checkUsed && used.subnets.some(other => overlap(other, cidr)))
      throw new UserError(`subnet ${formatCidr(cidr)} is already used on the host or by another config`);
  }
  const subnets = asked.map(({ one, cidr }) => completed(one, cidr, isGateway));
  if (network.driver !== "bridge") return subnets;
  const has = (family: 4 | 6) => asked.some(({ cidr }) => cidr.ip.family === family);
  const missing = ([4, 6] as const).filter(
    family => !has(family) && (network.ipv6_enabled || (family === 4 && asked.length === 0)),
  );
  for (const family of missing) {
    const free = freeSubnet(family, [...used.subnets, ...asked.map(({ cidr }) => cidr)], options);
    subnets.push(completed({ subnet: formatCidr(free) }, free, isGateway));
  }
  return subnets;
}

function completed({ gateway, lease_range: lease }: Subnet, cidr: Cidr, isGateway: boolean): Subnet {
  const text = formatCidr(cidr);
  const inside = (what: string, address: string) => {
    const ip = parseIP(address);
    if (!ip) throw new UserError("invalid IP address syntax");
    if (!contains(cidr, ip)) throw new UserError(`${what} ${address} not in subnet ${text}`);
    return formatIP(ip);
  };
  const { start_ip: start, end_ip: end } = lease ?? {};
  return {
    subnet: text,
    gateway: gateway ? inside("gateway", gateway) : isGateway ? firstAddress(cidr) : undefined,
    lease_range:
      start || end
        ? {
            start_ip: start ? inside("lease range start_ip", start) : undefined,
            end_ip: end ? inside("lease range end_ip", end) : undefined,
          }
        : undefined,
  };
}

function firstAddress(cidr: Cidr): string {
  if (cidr.prefix > cidr.ip.bytes.length * 8 - 2)
    throw new UserError(`subnet ${formatCidr(cidr)} has no address to be a gateway`);
  return formatIP(bigIntToIp(ipToBigInt(cidr.ip) + 1n, cidr.ip.family));
}

const ATTEMPTS = 1000;

/** IPv4 from the pools, IPv6 a random /64 of fd00::/8 (RFC 4193). */
function freeSubnet(family: 4 | 6, taken: readonly Cidr[], { pools }: CreateOptions): Cidr {
  const isFree = (cidr: Cidr) => !taken.some(one => overlap(one, cidr));
  for (const pool of pools.filter(one => one.base.ip.family === family)) {
    const last = ipToBigInt(lastOf(pool.base));
    const step = 1n << BigInt(pool.base.ip.bytes.length * 8 - pool.size);
    for (let first = ipToBigInt(networkOf(pool.base)); first <= last; first += step) {
      const cidr: Cidr = { ip: bigIntToIp(first, family), prefix: pool.size };
      if (isFree(cidr)) return cidr;
    }
  }
  if (family === 6)
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const bytes = new Uint8Array(16);
      crypto.getRandomValues(bytes.subarray(1, 8));
      bytes[0] = 0xfd;
      const cidr: Cidr = { ip: { family: 6, bytes }, prefix: 64 };
      if (isFree(cidr)) return cidr;
    }
  throw new UserError("could not find free subnet from subnet pools");
}
