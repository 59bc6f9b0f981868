/** A network that nothing of the host's own lies in: what a guest calls its own must not hide what it wants to reach. */
import { bigIntToIp, type Cidr, formatCidr, ipToBigInt, lastOf, networkOf, parseCidr } from "../wire/addr.ts";
import type { HostNetwork } from "./host-network.ts";

/** slirp4netns' own network, and where the next is looked for: the private ranges (RFC 1918), then RFC 6598's. */
export const USUAL_IPV4 = "10.0.2.0/24";
const POOLS: readonly (readonly [first: string, pool: string])[] = [
  [USUAL_IPV4, "10.0.0.0/8"],
  ["172.16.0.0/24", "172.16.0.0/12"],
  ["192.168.0.0/24", "192.168.0.0/16"],
  ["100.64.0.0/24", "100.64.0.0/10"],
];

export const USUAL_IPV6 = "fd00::/64";

/** Routes this wide stand for the default route (VPNs split it in two), not for a network. */
const DEFAULT_IN_DISGUISE = 8;

interface Span {
  first: bigint;
  last: bigint;
}

function spanOf(cidr: Cidr): Span {
  return { first: ipToBigInt(networkOf(cidr)), last: ipToBigInt(lastOf(cidr)) };
}

/** Networks of the host's addresses and routes, and `more`, of one family. */
function usedSpans(host: HostNetwork, family: 4 | 6, more: readonly string[]): Span[] {
  const texts = [
    ...host.interfaces.flatMap(one => one.addresses.map(({ ip, prefix }) => `${ip}/${prefix}`)),
    ...host.routes.map(({ dst }) => dst),
    ...more,
  ];
  return texts
    .map(text => parseCidr(text)!)
    .filter(({ ip, prefix }) => ip.family === family && prefix >= DEFAULT_IN_DISGUISE)
    .map(spanOf);
}

const clash = (used: readonly Span[], one: Span) =>
  used.find(({ first, last }) => first <= one.last && last >= one.first);

/** slirp4netns' network, or the next /24 that neither the host nor `more` uses; the usual one where all are used. */
export function freeIpv4Subnet(host: HostNetwork, more: readonly string[] = []): string {
  const used = usedSpans(host, 4, more);
  for (const [start, pool] of POOLS) {
    const { last } = spanOf(parseCidr(pool)!);
    for (let first = ipToBigInt(parseCidr(start)!.ip); first + 255n <= last; ) {
      const other = clash(used, { first, last: first + 255n });
      if (!other) return formatCidr({ ip: bigIntToIp(first, 4), prefix: 24 });
      first = ((other.last >> 8n) + 1n) << 8n;
    }
  }
  return USUAL_IPV4;
}

/**
 * slirp4netns' fd00::/64, or a unique local prefix of the host's own (RFC 4193, 3.2.2: a hash of what is the host's
 * alone), the same at every call.
 */
export function freeIpv6Prefix(host: HostNetwork, more: readonly string[] = []): string {
  const used = usedSpans(host, 6, more);
  if (!clash(used, spanOf(parseCidr(USUAL_IPV6)!))) return USUAL_IPV6;
  const identity = host.interfaces.map(({ mac }) => mac).join(" ");
  for (let attempt = 0; ; attempt++) {
    const hash = new Bun.CryptoHasher("sha256").update(`${attempt} ${identity}`).digest();
    const bytes = new Uint8Array(16);
    bytes.set([0xfd, ...hash.subarray(0, 5)]);
    const cidr: Cidr = { ip: { family: 6, bytes }, prefix: 64 };
    if (!clash(used, spanOf(cidr))) return formatCidr(cidr);
  }
}
