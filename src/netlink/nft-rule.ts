/**
 * The rules of nftables as the kernel keeps them (linux/netfilter/nf_tables.h), read without libnftables, which takes half a
 * millisecond a rule to make text of them. What a rule compares with is looked for in its bytes.
 */
import {
  type Attribute,
  attr,
  body,
  emitAttributes,
  type Message,
  parseAttributes,
  value,
} from "../wire/netlink.ts";
import { NETLINK_NETFILTER, NetlinkSocket } from "./socket.ts";

const SUBSYSTEM = 10 << 8;
const NFT_MSG = { GETTABLE: SUBSYSTEM | 1, GETCHAIN: SUBSYSTEM | 4, GETRULE: SUBSYSTEM | 7 } as const;
const NFTA_TABLE_NAME = 1;
const NFTA_CHAIN = { TABLE: 1, NAME: 3 } as const;
const NFTA_RULE = { TABLE: 1, CHAIN: 2, HANDLE: 3, EXPRESSIONS: 4, USERDATA: 7 } as const;
const NFTA_DATA_VALUE = 1;
const NFTA_VERDICT_CHAIN = 2;
/** libnftnl's type-length-value in a rule's user data. */
const NFTNL_UDATA_RULE_COMMENT = 0;
/** NFPROTO_ numbers. */
export const NFT_FAMILIES = { inet: 1, ip: 2, ip6: 10 } as const;

export type NftFamily = keyof typeof NFT_FAMILIES;

export interface NftPlace {
  family: NftFamily;
  table: string;
  chain: string;
}

export interface NftRule extends NftPlace {
  handle: number;
  /** "" where it has none. */
  comment: string;
  /** Its expressions, as the kernel sends them. */
  expressions: Uint8Array;
}

/** `nfgenmsg`: family, version 0, resource id 0. */
export const nfgenmsg = (family?: NftFamily) => Uint8Array.of(family ? NFT_FAMILIES[family] : 0, 0, 0, 0);
const HEADER = 4;

export const openNetfilter = (): NetlinkSocket => new NetlinkSocket(NETLINK_NETFILTER);

/** Every table of the three families, as `ip nat`. */
export function nftTables(nl: NetlinkSocket): Set<string> {
  const names = new Map<number, string>(Object.entries(NFT_FAMILIES).map(([name, number]) => [number, name]));
  const found = nl.dump("list nftables' tables", NFT_MSG.GETTABLE, nfgenmsg()).map(message => {
    const name = parseAttributes(message.body.subarray(HEADER)).find(one => one.type === NFTA_TABLE_NAME);
    return `${names.get(message.body[0]!)} ${name ? value.string(name.value) : ""}`;
  });
  return new Set(found);
}

export function hasTable(nl: NetlinkSocket, { family, table }: Omit<NftPlace, "chain">): boolean {
  return isThere(nl, table, NFT_MSG.GETTABLE, family, [attr.string(NFTA_TABLE_NAME, table)]);
}

export function hasChain(nl: NetlinkSocket, { family, table, chain }: NftPlace): boolean {
  const names = [attr.string(NFTA_CHAIN.TABLE, table), attr.string(NFTA_CHAIN.NAME, chain)];
  return isThere(nl, chain, NFT_MSG.GETCHAIN, family, names);
}

function isThere(
  nl: NetlinkSocket,
  name: string,
  type: number,
  family: NftFamily,
  names: readonly Attribute[],
): boolean {
  try {
    nl.request(`look for nftables' ${name}`, type, 0, body(nfgenmsg(family), names));
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return false;
    throw error;
  }
}

/**
 * The rules of a table, or of one of its chains; none where that does not exist. With `parts`, those in which one of them
 * stands, such as a comment, a chain's name or an address: of thousands, few are then taken apart.
 */
export function nftRules(
  nl: NetlinkSocket,
  { family, table, chain }: Omit<NftPlace, "chain"> & { chain?: string },
  parts?: readonly (string | Uint8Array)[],
): NftRule[] {
  const names = [attr.string(NFTA_RULE.TABLE, table)];
  if (chain !== undefined) names.push(attr.string(NFTA_RULE.CHAIN, chain));
  const request = body(nfgenmsg(family), names);
  const messages = nl.dump(`list the rules of ${family} ${table}`, NFT_MSG.GETRULE, request);
  const isWanted = ({ body }: Message) => {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
    return !parts || parts.some(part => bytes.includes(part));
  };
  return messages.filter(isWanted).map(message => {
    const attributes = parseAttributes(message.body.subarray(HEADER));
    const find = (type: number) => attributes.find(one => one.type === type)?.value ?? new Uint8Array();
    const handle = find(NFTA_RULE.HANDLE);
    return {
      family,
      table,
      chain: value.string(find(NFTA_RULE.CHAIN)),
      handle: Number(new DataView(handle.buffer, handle.byteOffset).getBigUint64(0)),
      comment: commentIn(find(NFTA_RULE.USERDATA)),
      expressions: find(NFTA_RULE.EXPRESSIONS),
    };
  });
}

function commentIn(data: Uint8Array): string {
  for (let offset = 0; offset + 2 <= data.length; offset += 2 + data[offset + 1]!)
    if (data[offset] === NFTNL_UDATA_RULE_COMMENT)
      return value.string(data.subarray(offset + 2, offset + 2 + data[offset + 1]!));
  return "";
}

const holds = (rule: NftRule, one: Attribute) =>
  Buffer.from(rule.expressions.buffer, rule.expressions.byteOffset, rule.expressions.length).includes(
    emitAttributes([one]),
  );

/** True when a rule compares with these bytes, or sends to them: an address. */
export const speaksOf = (rule: NftRule, bytes: Uint8Array): boolean =>
  holds(rule, attr.bytes(NFTA_DATA_VALUE, bytes));

/** True when a rule compares with an interface's name, whole. */
export const speaksOfInterface = (rule: NftRule, name: string): boolean => {
  const exact = new TextEncoder().encode(`${name}\0`);
  const padded = new Uint8Array(16);
  padded.set(exact);
  return speaksOf(rule, exact) || speaksOf(rule, padded);
};

/** How many expressions a rule has, the action among them: a comparison is two or more. */
export const expressionsIn = (rule: NftRule): number => parseAttributes(rule.expressions).length;

/** True when a rule jumps to a chain. */
export const leadsTo = (rule: NftRule, chain: string): boolean =>
  holds(rule, attr.string(NFTA_VERDICT_CHAIN, chain));
