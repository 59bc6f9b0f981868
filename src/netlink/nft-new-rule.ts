/**
 * Rules of nftables put in and taken out by the kernel's own messages (linux/netfilter/nf_tables.h). libnftables takes two
 * milliseconds for one, most of it for what it remembers of tables that it never looks at again. Here are the few kinds of
 * match and action that Portolan's plain rules are made of, in the form that libnftables gives them: `nft list` shows both alike.
 */
import { type Attribute, attr, body, emitAttributes, NLM_F } from "../wire/netlink.ts";
import { NFT_FAMILIES, type NftPlace, nfgenmsg } from "./nft-rule.ts";
import type { NetlinkSocket, Request } from "./socket.ts";

const SUBSYSTEM = 10;
const NFT_MSG = { NEWRULE: (SUBSYSTEM << 8) | 6, DELRULE: (SUBSYSTEM << 8) | 8 } as const;
const NFTA_RULE = { TABLE: 1, CHAIN: 2, HANDLE: 3, EXPRESSIONS: 4, USERDATA: 7 } as const;
const NFTA_LIST_ELEM = 1;
const NFTA_EXPR = { NAME: 1, DATA: 2 } as const;
const NFTA_DATA_VALUE = 1;
const NFTA_PAYLOAD = { REGISTER: 1, BASE: 2, OFFSET: 3, LENGTH: 4 } as const;
const NFTA_CMP = { REGISTER: 1, OPERATOR: 2, DATA: 3 } as const;
const NFTA_BITWISE = { SOURCE: 1, DESTINATION: 2, LENGTH: 3, MASK: 4, XOR: 5 } as const;
const NFTA_META = { REGISTER: 1, KEY: 2 } as const;
const NFTA_CT = { REGISTER: 1, KEY: 2 } as const;
const NFTA_IMMEDIATE = { REGISTER: 1, DATA: 2 } as const;
const NFTA_NAT = { TYPE: 1, FAMILY: 2, ADDRESS: 3, PORT: 5 } as const;

const NETWORK_HEADER = 1;
const TRANSPORT_HEADER = 2;
const EQUAL = 0;
const UNEQUAL = 1;
const META = { NFPROTO: 15, L4PROTO: 16 } as const;
const CT_STATUS = 2;
const IPS_DST_NAT = 0x20;
const DNAT = 1;
/** A rule's user data is of type, length, value; this is the type of its comment. */
const COMMENT = 0;

const be32 = (type: number, value: number) =>
  attr.bytes(type, Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value));
const data = (type: number, bytes: Uint8Array) => attr.nested(type, [attr.bytes(NFTA_DATA_VALUE, bytes)]);

const expression = (name: string, attributes: readonly Attribute[] = []): Attribute =>
  attr.nested(NFTA_LIST_ELEM, [attr.string(NFTA_EXPR.NAME, name), attr.nested(NFTA_EXPR.DATA, attributes)]);

const REGISTER = 1;
const PORT_REGISTER = 2;

const meta = (key: number) =>
  expression("meta", [be32(NFTA_META.REGISTER, REGISTER), be32(NFTA_META.KEY, key)]);
const payload = (base: number, offset: number, length: number) =>
  expression("payload", [
    be32(NFTA_PAYLOAD.REGISTER, REGISTER),
    be32(NFTA_PAYLOAD.BASE, base),
    be32(NFTA_PAYLOAD.OFFSET, offset),
    be32(NFTA_PAYLOAD.LENGTH, length),
  ]);
const compare = (operator: number, bytes: Uint8Array) =>
  expression("cmp", [
    be32(NFTA_CMP.REGISTER, REGISTER),
    be32(NFTA_CMP.OPERATOR, operator),
    data(NFTA_CMP.DATA, bytes),
  ]);
const masked = (mask: Uint8Array) =>
  expression("bitwise", [
    be32(NFTA_BITWISE.SOURCE, REGISTER),
    be32(NFTA_BITWISE.DESTINATION, REGISTER),
    be32(NFTA_BITWISE.LENGTH, mask.length),
    data(NFTA_BITWISE.MASK, mask),
    data(NFTA_BITWISE.XOR, new Uint8Array(mask.length)),
  ]);
const immediate = (register: number, bytes: Uint8Array) =>
  expression("immediate", [be32(NFTA_IMMEDIATE.REGISTER, register), data(NFTA_IMMEDIATE.DATA, bytes)]);

type Expressions = Attribute[];

/** `meta nfproto`: what a table of both families asks before it looks at an address. */
export const isOfFamily = (version: 4 | 6): Expressions => [
  meta(META.NFPROTO),
  compare(EQUAL, Uint8Array.of(version === 4 ? NFT_FAMILIES.ip : NFT_FAMILIES.ip6)),
];

/** `ip saddr`, `ip6 daddr !=` and so on: an address (4 or 16 bytes), or the first `prefix` bits of one, which are not 0. */
export function hasAddress(
  which: "source" | "destination",
  address: Uint8Array,
  { prefix = address.length * 8, not = false }: { prefix?: number; not?: boolean } = {},
): Expressions {
  const start = address.length === 4 ? 12 : 8;
  const offset = which === "source" ? start : start + address.length;
  const operator = not ? UNEQUAL : EQUAL;
  // Whole bytes are compared alone.
  if (prefix % 8 === 0) {
    const length = prefix / 8;
    return [payload(NETWORK_HEADER, offset, length), compare(operator, address.slice(0, length))];
  }
  const mask = address.map((_, index) => 0xff & (0xff00 >> Math.min(8, Math.max(0, prefix - index * 8))));
  return [
    payload(NETWORK_HEADER, offset, address.length),
    masked(mask),
    compare(
      operator,
      address.map((byte, index) => byte & mask[index]!),
    ),
  ];
}

const portBytes = (port: number) => Uint8Array.of(port >> 8, port & 0xff);

/** `tcp dport`: a protocol by IANA's number, and the port that it goes to. */
export const isToPort = (protocol: number, port: number): Expressions => [
  meta(META.L4PROTO),
  compare(EQUAL, Uint8Array.of(protocol)),
  payload(TRANSPORT_HEADER, 2, 2),
  compare(EQUAL, portBytes(port)),
];

/** `ct status dnat`: the connection's destination was translated. */
export const isTranslated = (): Expressions => {
  const word = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
  return [
    expression("ct", [be32(NFTA_CT.REGISTER, REGISTER), be32(NFTA_CT.KEY, CT_STATUS)]),
    masked(word(IPS_DST_NAT)),
    compare(UNEQUAL, word(0)),
  ];
};

/** `masquerade`. */
export const masquerade = (): Expressions => [expression("masq")];

/** `dnat to ADDRESS:PORT`. */
export const translateTo = (address: Uint8Array, port: number): Expressions => [
  immediate(REGISTER, address),
  immediate(PORT_REGISTER, portBytes(port)),
  expression("nat", [
    be32(NFTA_NAT.TYPE, DNAT),
    be32(NFTA_NAT.FAMILY, address.length === 4 ? NFT_FAMILIES.ip : NFT_FAMILIES.ip6),
    be32(NFTA_NAT.ADDRESS, REGISTER),
    be32(NFTA_NAT.PORT, PORT_REGISTER),
  ]),
];

export interface NewNftRule extends NftPlace {
  /** Before the chain's first rule, or after its last. */
  at: "start" | "end";
  expressions: readonly Attribute[];
  comment: string;
}

function commentData(comment: string): Uint8Array {
  const text = new TextEncoder().encode(`${comment}\0`);
  return Uint8Array.of(COMMENT, text.length, ...text);
}

const place = ({ table, chain }: NftPlace) => [
  attr.string(NFTA_RULE.TABLE, table),
  attr.string(NFTA_RULE.CHAIN, chain),
];

function addition(rule: NewNftRule): Request {
  const attributes = [
    ...place(rule),
    attr.bytes(NFTA_RULE.EXPRESSIONS, emitAttributes(rule.expressions)),
    attr.bytes(NFTA_RULE.USERDATA, commentData(rule.comment)),
  ];
  return {
    type: NFT_MSG.NEWRULE,
    flags: rule.at === "end" ? NLM_F.CREATE | NLM_F.APPEND : NLM_F.CREATE,
    body: body(nfgenmsg(rule.family), attributes),
  };
}

function removal(rule: NftPlace & { handle: number }): Request {
  const handle = new Uint8Array(8);
  new DataView(handle.buffer).setBigUint64(0, BigInt(rule.handle));
  const attributes = [...place(rule), attr.bytes(NFTA_RULE.HANDLE, handle)];
  return { type: NFT_MSG.DELRULE, flags: 0, body: body(nfgenmsg(rule.family), attributes) };
}

/** Takes rules out and puts others in, in this order and in one transaction: all of it or, with an error, nothing. */
export function changeNftRules(
  nl: NetlinkSocket,
  removed: readonly (NftPlace & { handle: number })[],
  added: readonly NewNftRule[],
): void {
  const requests = [...removed.map(removal), ...added.map(addition)];
  if (requests.length > 0) nl.transaction("change nftables' rules", SUBSYSTEM, requests);
}
