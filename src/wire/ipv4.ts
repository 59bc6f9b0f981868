/** The IPv4 header (RFC 791, 3.1). Offsets are from the header's first byte; lengths are bytes. */

import { addBytes, checksum, isSound } from "./checksum.ts";

export const IPV4 = {
  HEADER: 20,
  MAX_HEADER: 60,
  TOTAL_LENGTH: 2,
  IDENTIFICATION: 4,
  FRAGMENT: 6,
  TTL: 8,
  PROTOCOL: 9,
  CHECKSUM: 10,
  SOURCE: 12,
  DESTINATION: 16,
  /** Bits of the field at FRAGMENT. */
  DONT_FRAGMENT: 0x4000,
  MORE_FRAGMENTS: 0x2000,
  OFFSET_MASK: 0x1fff,
} as const;

/** Assigned Internet protocol numbers that we speak. */
export const PROTOCOL = { ICMP: 1, TCP: 6, UDP: 17, ICMPV6: 58 } as const;

/** Writes everything but addresses, lengths and checksum: those are known when the packet is whole. */
export function putIPv4(
  view: DataView,
  at: number,
  identification: number,
  fragment: number,
  ttl: number,
  protocol: number,
): void {
  view.setUint16(at, 0x4500);
  view.setUint16(at + IPV4.TOTAL_LENGTH, 0);
  view.setUint16(at + IPV4.IDENTIFICATION, identification);
  view.setUint16(at + IPV4.FRAGMENT, fragment);
  view.setUint16(at + IPV4.TTL, (ttl << 8) | protocol);
  view.setUint16(at + IPV4.CHECKSUM, 0);
}

/** Writes the total length and, over all that is there, the header's checksum. The header has no options. */
export function sealIPv4(view: DataView, buffer: Uint8Array, at: number, totalLength: number): void {
  view.setUint16(at + IPV4.TOTAL_LENGTH, totalLength);
  view.setUint16(at + IPV4.CHECKSUM, 0);
  view.setUint16(at + IPV4.CHECKSUM, checksum(addBytes(0, buffer, at, IPV4.HEADER)));
}

/**
 * The header's length when the packet between `at` and `end` is whole and its checksum right, else -1. Bytes after the
 * total length are the frame's padding.
 */
export function checkIPv4(view: DataView, buffer: Uint8Array, at: number, end: number): number {
  if (at + IPV4.HEADER > end) return -1;
  const first = view.getUint8(at);
  const length = (first & 15) * 4;
  const total = view.getUint16(at + IPV4.TOTAL_LENGTH);
  if (first >> 4 !== 4 || length < IPV4.HEADER || total < length || at + total > end) return -1;
  return isSound(addBytes(0, buffer, at, length)) ? length : -1;
}
