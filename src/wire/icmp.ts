/** ICMP (RFC 792): eight bytes of header, then what the type asks for. */

export const ICMP = {
  HEADER: 8,
  TYPE: 0,
  CODE: 1,
  CHECKSUM: 2,
  /** Echo's identifier and sequence number. */
  IDENTIFIER: 4,
  SEQUENCE: 6,
  /** The next hop's MTU, in "fragmentation needed" (RFC 1191, 4). */
  MTU: 6,
  /** A parameter problem's pointer, one byte. */
  POINTER: 4,
} as const;

export const ICMP_TYPE = {
  ECHO_REPLY: 0,
  UNREACHABLE: 3,
  SOURCE_QUENCH: 4,
  REDIRECT: 5,
  ECHO: 8,
  TIME_EXCEEDED: 11,
  PARAMETER_PROBLEM: 12,
} as const;

/** Codes of UNREACHABLE (RFC 792; RFC 1812, 5.2.7.1). */
export const UNREACHABLE = {
  NET: 0,
  HOST: 1,
  PROTOCOL: 2,
  PORT: 3,
  FRAGMENTATION_NEEDED: 4,
  PROHIBITED: 13,
} as const;

/** Codes of TIME_EXCEEDED, in ICMPv6 too. */
export const TIME_EXCEEDED = { HOPS: 0, REASSEMBLY: 1 } as const;

/** True for messages about other packets; nobody answers those with another error (RFC 1122, 3.2.2). */
export function isIcmpError(type: number): boolean {
  return (
    type === ICMP_TYPE.UNREACHABLE ||
    type === ICMP_TYPE.SOURCE_QUENCH ||
    type === ICMP_TYPE.REDIRECT ||
    type === ICMP_TYPE.TIME_EXCEEDED ||
    type === ICMP_TYPE.PARAMETER_PROBLEM
  );
}

/** Writes type, code and the four bytes after the checksum, which is left zero. */
export function putIcmp(view: DataView, at: number, type: number, code: number, rest: number): void {
  view.setUint32(at, ((type << 24) | (code << 16)) >>> 0);
  view.setUint32(at + 4, rest);
}
