/** DHCP messages (RFC 2131, 2) and their options (RFC 2132). */

const FIXED = 236;
const MAGIC = 0x63825363;
/** Shorter messages are thrown away by old clients: they expect BOOTP's length (RFC 951, RFC 1542 2.1). */
const LEAST = 300;
/** Longer ones are no client's: the least that must be taken is 576 bytes, the usual is one frame (RFC 2131, 2). */
const MOST = 1500;
const SNAME = 44;
const FILE = 108;

export const DHCP_OPERATION = { REQUEST: 1, REPLY: 2 } as const;

/** Values of the option MESSAGE_TYPE (RFC 2132, 9.6). */
export const DHCP_TYPE = {
  DISCOVER: 1,
  OFFER: 2,
  REQUEST: 3,
  DECLINE: 4,
  ACK: 5,
  NAK: 6,
  RELEASE: 7,
  INFORM: 8,
} as const;

export const DHCP_OPTION = {
  PAD: 0,
  SUBNET_MASK: 1,
  ROUTER: 3,
  DNS: 6,
  HOST_NAME: 12,
  DOMAIN_NAME: 15,
  INTERFACE_MTU: 26,
  /** Destinations by class, superseded by CLASSLESS_ROUTES. */
  STATIC_ROUTES: 33,
  REQUESTED_ADDRESS: 50,
  LEASE_TIME: 51,
  OVERLOAD: 52,
  MESSAGE_TYPE: 53,
  SERVER_IDENTIFIER: 54,
  PARAMETER_LIST: 55,
  /** Why a server refuses, in words. */
  MESSAGE: 56,
  MAX_SIZE: 57,
  RENEWAL_TIME: 58,
  REBINDING_TIME: 59,
  VENDOR_CLASS: 60,
  CLIENT_IDENTIFIER: 61,
  USER_CLASS: 77,
  /** Domain search list (RFC 3397). */
  SEARCH: 119,
  /** RFC 3442. */
  CLASSLESS_ROUTES: 121,
  END: 255,
} as const;

export interface DhcpMessage {
  operation: number;
  transaction: number;
  seconds: number;
  /** Bit 15: answers are to be broadcast. */
  flags: number;
  /** Addresses of four bytes; all zero for none. */
  client: Uint8Array;
  your: Uint8Array;
  server: Uint8Array;
  relay: Uint8Array;
  /** Hardware address of the client, six bytes. */
  mac: Uint8Array;
  /** Values of options by their number; parts of one option are joined (RFC 3396). */
  options: Map<number, Uint8Array>;
}

/** The message in `bytes`; undefined for what is none, or none for Ethernet. */
export function parseDhcp(bytes: Uint8Array): DhcpMessage | undefined {
  if (bytes.length < FIXED + 4 || bytes.length > MOST) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(FIXED) !== MAGIC || bytes[1] !== 1 || bytes[2] !== 6) return undefined;
  const options = new Map<number, Uint8Array>();
  if (!readOptions(bytes.subarray(FIXED + 4), options)) return undefined;
  const overload = options.get(DHCP_OPTION.OVERLOAD)?.[0] ?? 0;
  if (overload & 1 && !readOptions(bytes.subarray(FILE, FIXED), options)) return undefined;
  if (overload & 2 && !readOptions(bytes.subarray(SNAME, FILE), options)) return undefined;
  options.delete(DHCP_OPTION.OVERLOAD);
  return {
    operation: bytes[0]!,
    transaction: view.getUint32(4),
    seconds: view.getUint16(8),
    flags: view.getUint16(10),
    client: bytes.slice(12, 16),
    your: bytes.slice(16, 20),
    server: bytes.slice(20, 24),
    relay: bytes.slice(24, 28),
    mac: bytes.slice(28, 34),
    options,
  };
}

/** The bytes of a message, padded to BOOTP's length. */
export function emitDhcp(message: DhcpMessage): Uint8Array<ArrayBuffer> {
  const parts: { type: number; value: Uint8Array }[] = [];
  for (const [type, value] of message.options)
    for (let at = 0; at === 0 || at < value.length; at += 255)
      parts.push({ type, value: value.subarray(at, at + 255) });
  const size = parts.reduce((sum, part) => sum + 2 + part.value.length, FIXED + 4 + 1);
  const bytes = new Uint8Array(new ArrayBuffer(Math.max(size, LEAST)));
  const view = new DataView(bytes.buffer);
  bytes[0] = message.operation;
  bytes[1] = 1;
  bytes[2] = 6;
  view.setUint32(4, message.transaction);
  view.setUint16(8, message.seconds);
  view.setUint16(10, message.flags);
  bytes.set(message.client, 12);
  bytes.set(message.your, 16);
  bytes.set(message.server, 20);
  bytes.set(message.relay, 24);
  bytes.set(message.mac, 28);
  view.setUint32(FIXED, MAGIC);
  let at = FIXED + 4;
  for (const { type, value } of parts) {
    bytes[at] = type;
    bytes[at + 1] = value.length;
    bytes.set(value, at + 2);
    at += 2 + value.length;
  }
  bytes[at] = DHCP_OPTION.END;
  return bytes;
}

/** Adds the options of one field; false where one is cut. The end mark may be missing (the field's end will do). */
function readOptions(field: Uint8Array, options: Map<number, Uint8Array>): boolean {
  let at = 0;
  while (at < field.length && field[at] !== DHCP_OPTION.END) {
    const type = field[at]!;
    if (type === DHCP_OPTION.PAD) {
      at++;
      continue;
    }
    if (at + 2 > field.length) return false;
    const length = field[at + 1]!;
    if (at + 2 + length > field.length) return false;
    const before = options.get(type);
    const value = field.slice(at + 2, at + 2 + length);
    options.set(type, before ? Uint8Array.from([...before, ...value]) : value);
    at += 2 + length;
  }
  return true;
}
