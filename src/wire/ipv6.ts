/** The IPv6 header and its extension headers (RFC 8200). Offsets are from the header's first byte. */

export const IPV6 = {
  HEADER: 40,
  PAYLOAD_LENGTH: 4,
  NEXT_HEADER: 6,
  HOP_LIMIT: 7,
  SOURCE: 8,
  DESTINATION: 24,
  /** The least MTU of a link (section 5). */
  MIN_MTU: 1280,
} as const;

/** Next-header values of extension headers (section 4). */
export const EXTENSION = { HOP_BY_HOP: 0, ROUTING: 43, FRAGMENT: 44, NONE: 59, DESTINATION: 60 } as const;

/** The fragment header (section 4.5). */
export const FRAGMENT = {
  HEADER: 8,
  NEXT_HEADER: 0,
  OFFSET: 2,
  IDENTIFICATION: 4,
  MORE: 1,
  MASK: 0xfff8,
} as const;

/** Writes everything but addresses and payload length; traffic class and flow label are zero. */
export function putIPv6(view: DataView, at: number, nextHeader: number, hopLimit: number): void {
  view.setUint32(at, 0x60000000);
  view.setUint16(at + IPV6.PAYLOAD_LENGTH, 0);
  view.setUint16(at + IPV6.NEXT_HEADER, (nextHeader << 8) | hopLimit);
}

/** Writes a fragment header; `offset` counts bytes and is a multiple of eight. */
export function putFragmentHeader(
  view: DataView,
  at: number,
  nextHeader: number,
  offset: number,
  more: boolean,
  identification: number,
): void {
  view.setUint16(at, nextHeader << 8);
  view.setUint16(at + FRAGMENT.OFFSET, offset | (more ? FRAGMENT.MORE : 0));
  view.setUint32(at + FRAGMENT.IDENTIFICATION, identification);
}

/** True when a whole packet lies between `at` and `end`; bytes after the payload are the frame's padding. */
export function checkIPv6(view: DataView, at: number, end: number): boolean {
  return (
    at + IPV6.HEADER <= end &&
    view.getUint8(at) >> 4 === 6 &&
    at + IPV6.HEADER + view.getUint16(at + IPV6.PAYLOAD_LENGTH) <= end
  );
}
