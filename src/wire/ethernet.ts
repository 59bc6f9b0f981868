/** Ethernet II frames: destination, source, type; 14 bytes, no VLAN tags. */

export const ETHERNET = { HEADER: 14, DESTINATION: 0, SOURCE: 6, TYPE: 12, MAC: 6 } as const;

/** EtherTypes (IEEE 802 Numbers). */
export const ETHERTYPE = { IPV4: 0x0800, ARP: 0x0806, IPV6: 0x86dd } as const;

/** Writes a header at `at`; both addresses have six bytes. */
export function putEthernet(
  view: DataView,
  at: number,
  destination: Uint8Array,
  source: Uint8Array,
  type: number,
): void {
  putMac(view, at, destination, 0);
  putMac(view, at + ETHERNET.SOURCE, source, 0);
  view.setUint16(at + ETHERNET.TYPE, type);
}

/** Copies six bytes of `mac` from `start`. */
export function putMac(view: DataView, at: number, mac: Uint8Array, start: number): void {
  view.setUint16(at, (mac[start]! << 8) | mac[start + 1]!);
  view.setUint32(
    at + 2,
    ((mac[start + 2]! << 24) | (mac[start + 3]! << 16) | (mac[start + 4]! << 8) | mac[start + 5]!) >>> 0,
  );
}

/** The group bit: multicast and broadcast. */
export function isGroupMac(buffer: Uint8Array, at: number): boolean {
  return (buffer[at]! & 1) === 1;
}
