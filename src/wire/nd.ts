/** Neighbour Discovery (RFC 4861): solicitations, advertisements and their options. Offsets are from the ICMPv6 header. */

export const ND = {
  /** Hop limit that proves a message comes from the link itself (section 3.1). */
  HOPS: 255,
  /** Neighbour messages: the target; then options. */
  TARGET: 8,
  NEIGHBOUR_HEADER: 24,
  SOLICITATION_HEADER: 8,
  ADVERTISEMENT_HEADER: 16,
  /** Flags in the first byte after the checksum of a neighbour advertisement. */
  ROUTER: 0x80,
  SOLICITED: 0x40,
  OVERRIDE: 0x20,
} as const;

export const ND_OPTION = {
  SOURCE_MAC: 1,
  TARGET_MAC: 2,
  PREFIX: 3,
  MTU: 5,
  RDNSS: 25,
  DNSSL: 31,
} as const;

/** What a router says of its link. Times are seconds. */
export interface RouterAdvertisement {
  hopLimit: number;
  /** There is more to be had by DHCPv6 than addresses (the O flag). */
  otherConfig: boolean;
  /** 0: not a default router. */
  lifetime: number;
  mac: Uint8Array;
  mtu: number;
  prefix: { bytes: Uint8Array; length: number; autonomous: boolean; valid: number; preferred: number };
  /** Resolvers (RFC 8106, 5.1) and search domains in DNS wire format (5.2), with their common lifetime. */
  dns: readonly Uint8Array[];
  search: Uint8Array;
  dnsLifetime: number;
}

/** The message from its type on; the checksum is zero. */
export function emitRouterAdvertisement(ra: RouterAdvertisement): Uint8Array<ArrayBuffer> {
  const searchSize = ra.search.length ? 8 + ((ra.search.length + 7) & ~7) : 0;
  const dnsSize = ra.dns.length ? 8 + ra.dns.length * 16 : 0;
  const bytes = new Uint8Array(new ArrayBuffer(ND.ADVERTISEMENT_HEADER + 8 + 8 + 32 + dnsSize + searchSize));
  const view = new DataView(bytes.buffer);
  bytes[0] = 134;
  bytes[4] = ra.hopLimit;
  bytes[5] = ra.otherConfig ? 0x40 : 0;
  view.setUint16(6, ra.lifetime);
  let at = ND.ADVERTISEMENT_HEADER;
  const option = (type: number, size: number): number => {
    bytes[at] = type;
    bytes[at + 1] = size / 8;
    at += size;
    return at - size;
  };
  bytes.set(ra.mac, option(ND_OPTION.SOURCE_MAC, 8) + 2);
  view.setUint32(option(ND_OPTION.MTU, 8) + 4, ra.mtu);
  const prefix = option(ND_OPTION.PREFIX, 32);
  bytes[prefix + 2] = ra.prefix.length;
  // On link; the A flag lets hosts make their addresses from the prefix.
  bytes[prefix + 3] = 0x80 | (ra.prefix.autonomous ? 0x40 : 0);
  view.setUint32(prefix + 4, ra.prefix.valid);
  view.setUint32(prefix + 8, ra.prefix.preferred);
  bytes.set(ra.prefix.bytes, prefix + 16);
  if (dnsSize) {
    const rdnss = option(ND_OPTION.RDNSS, dnsSize);
    view.setUint32(rdnss + 4, ra.dnsLifetime);
    for (const [index, server] of ra.dns.entries()) bytes.set(server, rdnss + 8 + index * 16);
  }
  if (searchSize) {
    const dnssl = option(ND_OPTION.DNSSL, searchSize);
    view.setUint32(dnssl + 4, ra.dnsLifetime);
    bytes.set(ra.search, dnssl + 8);
  }
  return bytes;
}

/**
 * Offset of the value of the first option of `type` in the options between `at` and `end`; 0: there is none; -1: an
 * option is cut or of length zero, and the whole message void (section 4.6).
 */
export function findOption(buffer: Uint8Array, at: number, end: number, type: number): number {
  let found = 0;
  let offset = at;
  while (offset < end) {
    if (offset + 2 > end) return -1;
    const size = buffer[offset + 1]! * 8;
    if (size === 0 || offset + size > end) return -1;
    if (buffer[offset] === type && found === 0) found = offset + 2;
    offset += size;
  }
  return found;
}
