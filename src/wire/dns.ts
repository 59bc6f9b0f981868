/**
 * DNS messages (RFC 1035, EDNS: RFC 6891) as a server for a few names needs them: the one question of a query, and the
 * answer to it.
 */

/** Bytes of a header (RFC 1035, 4.1.1). */
export const HEADER = 12;

export const TYPE = { A: 1, PTR: 12, AAAA: 28, OPT: 41, ANY: 255 } as const;
export const CLASS = { IN: 1, ANY: 255 } as const;
export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

/** Bits of the third byte of a header. */
const QR = 0x80;
const OPCODE = 0x78;
const AA = 0x04;
const TC = 0x02;
const RD = 0x01;
/** Recursion available, in the fourth byte. */
const RA = 0x80;

/** Bytes of an answer by UDP where nothing is said (RFC 1035, 4.2.1), and what we say of ourselves: no fragments. */
const PLAIN_LIMIT = 512;
const OWN_LIMIT = 1232;
/** Of an OPT record without options. */
const OPT_LENGTH = 11;

export interface Query {
  /**
   * Labels in lower case with dots between; "" is the root. A byte that is no graphic ASCII character, a dot in a label
   * and a backslash are written `\ddd` (RFC 1035, 5.1), so that a name of two labels is never taken for one of three.
   */
  name: string;
  type: number;
  class: number;
  /** Not 0: no standard query. */
  opcode: number;
  /** Where the question ends. */
  end: number;
  /** Bytes of UDP payload that the asker takes (EDNS); undefined where it does not speak EDNS. */
  udpSize: number | undefined;
}

export interface DnsRecord {
  type: number;
  /** Address or encoded name. */
  data: Uint8Array;
}

export interface Reply {
  rcode: number;
  records: readonly DnsRecord[];
}

/** Where the one question of a query ends, or -1 for what is no query with one question. */
export function questionEnd(message: Uint8Array): number {
  if (!isQuery(message) || message[4] !== 0 || message[5] !== 1) return -1;
  let at = HEADER;
  while (at < message.length && message[at] !== 0) {
    const length = message[at]!;
    // A pointer can't stand in the first name of a message.
    if (length > 63 || at + 1 + length - HEADER > 254) return -1;
    at += 1 + length;
  }
  const end = at + 5;
  return end <= message.length ? end : -1;
}

/** A header, and not that of an answer. */
export const isQuery = (message: Uint8Array) => message.length >= HEADER && (message[2]! & QR) === 0;

/** Undefined for what is no query with one question. */
export function parseQuery(message: Uint8Array): Query | undefined {
  const end = questionEnd(message);
  if (end < 0) return undefined;
  const labels: string[] = [];
  for (let at = HEADER; message[at] !== 0; at += 1 + message[at]!)
    labels.push(labelText(message, at + 1, at + 1 + message[at]!));
  return {
    name: labels.join("."),
    type: (message[end - 4]! << 8) | message[end - 3]!,
    class: (message[end - 2]! << 8) | message[end - 1]!,
    opcode: (message[2]! & OPCODE) >> 3,
    end,
    udpSize: udpSize(message, end),
  };
}

function labelText(message: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let at = start; at < end; at++) {
    const byte = message[at]!;
    if (byte <= 0x20 || byte >= 0x7f || byte === 0x2e || byte === 0x5c)
      text += `\\${byte.toString().padStart(3, "0")}`;
    else text += String.fromCharCode(lower(byte));
  }
  return text;
}

/** Of the OPT record, if it is the only one after the question, as in the queries of every C library. */
function udpSize(message: Uint8Array, at: number): number | undefined {
  const alone =
    (message[7]! | message[6]! | message[9]! | message[8]! | message[10]!) === 0 && message[11] === 1;
  if (!alone || at + OPT_LENGTH > message.length) return undefined;
  const isOpt = message[at] === 0 && message[at + 1] === 0 && message[at + 2] === TYPE.OPT;
  return isOpt ? (message[at + 3]! << 8) | message[at + 4]! : undefined;
}

/**
 * The answer to a query, authoritative, with `ttl` seconds on every record. By UDP (`stream` false) records that the asker
 * can't take are left out, and the answer says that it is cut off; by TCP nothing is.
 */
export function emitReply(
  message: Uint8Array,
  query: Query,
  { rcode, records }: Reply,
  ttl: number,
  stream: boolean,
): Uint8Array<ArrayBuffer> {
  const edns = query.udpSize !== undefined;
  const limit = stream
    ? 65_535
    : Math.min(Math.max(query.udpSize ?? 0, PLAIN_LIMIT), edns ? OWN_LIMIT : PLAIN_LIMIT);
  const room = limit - (edns ? OPT_LENGTH : 0);
  let length = query.end;
  let count = 0;
  while (count < records.length) {
    const next = length + 12 + records[count]!.data.length;
    if (next > room) break;
    length = next;
    count++;
  }
  const cut = count < records.length;
  const answer = new Uint8Array(length + (edns ? OPT_LENGTH : 0));
  const view = new DataView(answer.buffer);
  answer.set(message.subarray(0, query.end));
  answer[2] = QR | (message[2]! & (OPCODE | RD)) | AA | (cut ? TC : 0);
  answer[3] = RA | rcode;
  view.setUint16(6, count);
  view.setUint16(8, 0);
  view.setUint16(10, edns ? 1 : 0);
  let at = query.end;
  for (let index = 0; index < count; index++) {
    const { type, data } = records[index]!;
    // A pointer to the question's name, which is all records' own.
    view.setUint16(at, 0xc000 | HEADER);
    view.setUint16(at + 2, type);
    view.setUint16(at + 4, CLASS.IN);
    view.setUint32(at + 6, ttl);
    view.setUint16(at + 10, data.length);
    answer.set(data, at + 12);
    at += 12 + data.length;
  }
  if (edns) {
    view.setUint16(at + 1, TYPE.OPT);
    view.setUint16(at + 3, OWN_LIMIT);
  }
  return answer;
}

/** An error in answer to what has a header at least: the question, where there is one to repeat, and no records. */
export function emitError(message: Uint8Array, rcode: number): Uint8Array<ArrayBuffer> {
  const end = questionEnd(message);
  const answer = message.slice(0, end < 0 ? HEADER : end);
  answer[2] = QR | (message[2]! & (OPCODE | RD));
  answer[3] = RA | rcode;
  answer.fill(0, end < 0 ? 4 : 6, HEADER);
  return answer as Uint8Array<ArrayBuffer>;
}

/** The address that a name below in-addr.arpa or ip6.arpa stands for (RFC 1035, 3.5; RFC 3596, 2.5). */
export function reverseAddress(name: string): Uint8Array | undefined {
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(name);
  if (four) {
    const bytes = four.slice(1).reverse().map(Number);
    return bytes.every(byte => byte < 256) ? Uint8Array.from(bytes) : undefined;
  }
  if (!/^([0-9a-f]\.){32}ip6\.arpa$/.test(name)) return undefined;
  const digits = name.slice(0, 63).split(".").reverse();
  return Uint8Array.from({ length: 16 }, (_, index) =>
    Number.parseInt(digits[2 * index]! + digits[2 * index + 1]!, 16),
  );
}

/** ASCII letters without their case; a label's length is below any letter. */
export const lower = (byte: number) => (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte);
