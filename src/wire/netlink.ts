/**
 * Netlink messages (netlink(7)) and their attributes (rtnetlink(7)): bytes to values and back. Host byte order, little
 * endian; attributes are padded to four bytes. What is not understood is kept as it came.
 */

export class WireError extends Error {
  override readonly name = "WireError";
}

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLM_F = {
  REQUEST: 1,
  MULTI: 2,
  ACK: 4,
  DUMP_INTR: 0x10,
  ROOT: 0x100,
  MATCH: 0x200,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
  CAPPED: 0x100,
  ACK_TLVS: 0x200,
} as const;
const HEADER = 16;
const NLA_TYPE_MASK = 0x3fff;
export const NLA_F_NESTED = 0x8000;

export interface Message {
  type: number;
  flags: number;
  seq: number;
  pid: number;
  /** Everything after the header. */
  body: Uint8Array;
}

export interface Attribute {
  type: number;
  value: Uint8Array;
}

const align = (size: number) => (size + 3) & ~3;

/** The bytes of one message. */
export function emitMessage(message: Message): Uint8Array<ArrayBuffer> {
  const buffer = new Uint8Array(new ArrayBuffer(align(HEADER + message.body.length)));
  const view = new DataView(buffer.buffer);
  view.setUint32(0, HEADER + message.body.length, true);
  view.setUint16(4, message.type, true);
  view.setUint16(6, message.flags, true);
  view.setUint32(8, message.seq, true);
  view.setUint32(12, message.pid, true);
  buffer.set(message.body, HEADER);
  return buffer;
}

/** The messages of one datagram. Throws WireError where a length runs past the end. */
export function parseMessages(data: Uint8Array): Message[] {
  const messages: Message[] = [];
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let offset = 0;
  while (offset + HEADER <= data.length) {
    const length = view.getUint32(offset, true);
    if (length < HEADER || offset + length > data.length)
      throw new WireError(`netlink message of ${length} bytes in ${data.length - offset}`);
    messages.push({
      type: view.getUint16(offset + 4, true),
      flags: view.getUint16(offset + 6, true),
      seq: view.getUint32(offset + 8, true),
      pid: view.getUint32(offset + 12, true),
      body: data.slice(offset + HEADER, offset + length),
    });
    offset += align(length);
  }
  if (offset < data.length)
    throw new WireError(`${data.length - offset} bytes after the last netlink message`);
  return messages;
}

/** The attributes in `data`. Throws WireError where a length runs past the end. */
export function parseAttributes(data: Uint8Array): Attribute[] {
  const attributes: Attribute[] = [];
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let offset = 0;
  while (offset + 4 <= data.length) {
    const length = view.getUint16(offset, true);
    if (length < 4 || offset + length > data.length)
      throw new WireError(`netlink attribute of ${length} bytes in ${data.length - offset}`);
    attributes.push({
      type: view.getUint16(offset + 2, true) & NLA_TYPE_MASK,
      value: data.slice(offset + 4, offset + length),
    });
    offset += align(length);
  }
  return attributes;
}

export function emitAttributes(attributes: readonly Attribute[]): Uint8Array {
  const size = attributes.reduce((sum, attribute) => sum + align(4 + attribute.value.length), 0);
  const buffer = new Uint8Array(size);
  const view = new DataView(buffer.buffer);
  let offset = 0;
  for (const { type, value } of attributes) {
    view.setUint16(offset, 4 + value.length, true);
    view.setUint16(offset + 2, type, true);
    buffer.set(value, offset + 4);
    offset += align(4 + value.length);
  }
  return buffer;
}

/** Makers of attributes, one for each kind of value. */
export const attr = {
  u8: (type: number, value: number): Attribute => ({ type, value: Uint8Array.of(value) }),
  u16: (type: number, value: number): Attribute => ({ type, value: Uint8Array.of(value & 0xff, value >> 8) }),
  /** Network byte order, as ports and protocol numbers are. */
  be16: (type: number, value: number): Attribute => ({
    type,
    value: Uint8Array.of(value >> 8, value & 0xff),
  }),
  u32: (type: number, value: number): Attribute => {
    const buffer = new Uint8Array(4);
    new DataView(buffer.buffer).setUint32(0, value, true);
    return { type, value: buffer };
  },
  string: (type: number, value: string): Attribute => ({
    type,
    value: new TextEncoder().encode(`${value}\0`),
  }),
  bytes: (type: number, value: Uint8Array): Attribute => ({ type, value }),
  nested: (type: number, children: readonly Attribute[]): Attribute => ({
    type: type | NLA_F_NESTED,
    value: emitAttributes(children),
  }),
};

/** Readers of attribute values; a value of the wrong size is a WireError. */
export const value = {
  u8: (bytes: Uint8Array): number => sized(bytes, 1)[0]!,
  u16: (bytes: Uint8Array): number => view(bytes, 2).getUint16(0, true),
  u32: (bytes: Uint8Array): number => view(bytes, 4).getUint32(0, true),
  string: (bytes: Uint8Array): string =>
    new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0) < 0 ? undefined : bytes.indexOf(0))),
};

function sized(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.length < size)
    throw new WireError(`netlink value of ${bytes.length} bytes where ${size} are needed`);
  return bytes;
}

function view(bytes: Uint8Array, size: number): DataView {
  sized(bytes, size);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Concatenates a fixed structure and the attributes that follow it. */
export function body(header: Uint8Array, attributes: readonly Attribute[]): Uint8Array {
  const rest = emitAttributes(attributes);
  const buffer = new Uint8Array(align(header.length) + rest.length);
  buffer.set(header, 0);
  buffer.set(rest, align(header.length));
  return buffer;
}
