/** DHCPv6 messages between client and server (RFC 8415, 8) and their options (21). */

export const DHCPV6_TYPE = { REPLY: 7, INFORMATION_REQUEST: 11 } as const;

export const DHCPV6_OPTION = {
  CLIENT_IDENTIFIER: 1,
  SERVER_IDENTIFIER: 2,
  OPTION_REQUEST: 6,
  /** RFC 3646. */
  DNS: 23,
  SEARCH: 24,
  INFORMATION_REFRESH_TIME: 32,
} as const;

export interface Dhcpv6Message {
  type: number;
  /** 24 bits. */
  transaction: number;
  options: { code: number; value: Uint8Array }[];
}

/** The message in `bytes`; undefined where an option is cut. */
export function parseDhcpv6(bytes: Uint8Array): Dhcpv6Message | undefined {
  if (bytes.length < 4) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const options: Dhcpv6Message["options"] = [];
  let at = 4;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return undefined;
    const length = view.getUint16(at + 2);
    if (at + 4 + length > bytes.length) return undefined;
    options.push({ code: view.getUint16(at), value: bytes.slice(at + 4, at + 4 + length) });
    at += 4 + length;
  }
  return { type: bytes[0]!, transaction: view.getUint32(0) & 0xffffff, options };
}

export function emitDhcpv6(message: Dhcpv6Message): Uint8Array<ArrayBuffer> {
  const size = message.options.reduce((sum, option) => sum + 4 + option.value.length, 4);
  const bytes = new Uint8Array(new ArrayBuffer(size));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, ((message.type << 24) | message.transaction) >>> 0);
  let at = 4;
  for (const { code, value } of message.options) {
    view.setUint16(at, code);
    view.setUint16(at + 2, value.length);
    bytes.set(value, at + 4);
    at += 4 + value.length;
  }
  return bytes;
}

/** DUID-LL: the identifier that is made of a hardware address of Ethernet (section 11.4). */
export function duidOf(mac: Uint8Array): Uint8Array {
  return Uint8Array.of(0, 3, 0, 1, ...mac);
}
