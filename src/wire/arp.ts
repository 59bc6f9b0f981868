/** ARP for IPv4 over Ethernet (RFC 826): 28 bytes. */

export const ARP = {
  LENGTH: 28,
  OPERATION: 6,
  SENDER_MAC: 8,
  SENDER_IP: 14,
  TARGET_MAC: 18,
  TARGET_IP: 24,
} as const;

export const ARP_OPERATION = { REQUEST: 1, REPLY: 2 } as const;

/** True for a whole packet of Ethernet and IPv4 between `at` and `end`. */
export function checkArp(view: DataView, at: number, end: number): boolean {
  return at + ARP.LENGTH <= end && view.getUint32(at) === 0x00010800 && view.getUint16(at + 4) === 0x0604;
}

/** Writes all but the addresses. */
export function putArp(view: DataView, at: number, operation: number): void {
  view.setUint32(at, 0x00010800);
  view.setUint16(at + 4, 0x0604);
  view.setUint16(at + ARP.OPERATION, operation);
}
