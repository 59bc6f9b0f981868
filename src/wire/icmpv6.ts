/** ICMPv6 (RFC 4443): the layout is ICMP's, the numbers are not. Types below 128 are errors. */

export const ICMPV6_TYPE = {
  UNREACHABLE: 1,
  TOO_BIG: 2,
  TIME_EXCEEDED: 3,
  PARAMETER_PROBLEM: 4,
  ECHO: 128,
  ECHO_REPLY: 129,
  ROUTER_SOLICITATION: 133,
  ROUTER_ADVERTISEMENT: 134,
  NEIGHBOUR_SOLICITATION: 135,
  NEIGHBOUR_ADVERTISEMENT: 136,
} as const;

/** Codes of UNREACHABLE (section 3.1). */
export const UNREACHABLE6 = { NO_ROUTE: 0, PROHIBITED: 1, ADDRESS: 3, PORT: 4 } as const;

/** Codes of PARAMETER_PROBLEM (section 3.4); the four bytes after the checksum point at the culprit. */
export const PARAMETER6 = { HEADER_FIELD: 0, NEXT_HEADER: 1, OPTION: 2 } as const;

export function isIcmpV6Error(type: number): boolean {
  return type < 128;
}
