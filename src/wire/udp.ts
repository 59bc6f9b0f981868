/** The UDP header (RFC 768). */

export const UDP = { HEADER: 8, SOURCE: 0, DESTINATION: 2, LENGTH: 4, CHECKSUM: 6 } as const;

/** Writes ports and length; the checksum is left zero. `length`: bytes of payload. */
export function putUdp(
  view: DataView,
  at: number,
  source: number,
  destination: number,
  length: number,
): void {
  view.setUint32(at, ((source << 16) | destination) >>> 0);
  view.setUint32(at + UDP.LENGTH, ((UDP.HEADER + length) << 16) >>> 0);
}

/**
 * Bytes of payload of the datagram between `at` and `end`, or -1 where the header is cut or its length says more than
 * there is. Less is allowed: the rest is no part of the datagram.
 */
export function checkUdp(view: DataView, at: number, end: number): number {
  if (at + UDP.HEADER > end) return -1;
  const length = view.getUint16(at + UDP.LENGTH);
  return length < UDP.HEADER || at + length > end ? -1 : length - UDP.HEADER;
}
