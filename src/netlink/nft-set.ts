/**
 * Elements of nftables' sets, asked of the kernel by their keys (linux/netfilter/nf_tables.h). libnftables reads a whole set
 * before it answers, which takes milliseconds where there are thousands.
 */
import { attr, body, parseAttributes, value } from "../wire/netlink.ts";
import type { NetlinkSocket } from "./socket.ts";

const GETSETELEM = (10 << 8) | 13;
const NFPROTO_INET = 1;
const NFTA_LIST = { TABLE: 1, SET: 2, ELEMENTS: 3 } as const;
const NFTA_LIST_ELEM = 1;
const NFTA_ELEM = { KEY: 1, USERDATA: 6, KEY_END: 10 } as const;
const NFTA_DATA_VALUE = 1;
/** libnftnl's type of a comment in an element's user data. */
const UDATA_COMMENT = 0;

export interface NftElement {
  key: Uint8Array;
  /** The last key of an interval; `key` where it is none. */
  keyEnd: Uint8Array;
  comment: string;
}

/** The element of a set of `inet TABLE` that has, or whose interval has, a key; undefined where none does, or there is no set. */
export function nftElement(
  nl: NetlinkSocket,
  table: string,
  set: string,
  key: Uint8Array,
): NftElement | undefined {
  const wanted = attr.nested(NFTA_LIST_ELEM, [
    attr.nested(NFTA_ELEM.KEY, [attr.bytes(NFTA_DATA_VALUE, key)]),
  ]);
  const request = body(Uint8Array.of(NFPROTO_INET, 0, 0, 0), [
    attr.string(NFTA_LIST.TABLE, table),
    attr.string(NFTA_LIST.SET, set),
    attr.nested(NFTA_LIST.ELEMENTS, [wanted]),
  ]);
  try {
    const [message] = nl.request(`look for an element of ${set}`, GETSETELEM, 0, request);
    const find = (data: Uint8Array | undefined, type: number) =>
      data && parseAttributes(data).find(one => one.type === type)?.value;
    const element = find(find(message?.body.subarray(4), NFTA_LIST.ELEMENTS), NFTA_LIST_ELEM);
    const found = find(find(element, NFTA_ELEM.KEY), NFTA_DATA_VALUE);
    if (!found) return undefined;
    const last = find(find(element, NFTA_ELEM.KEY_END), NFTA_DATA_VALUE) ?? found;
    return { key: found, keyEnd: last, comment: commentIn(find(element, NFTA_ELEM.USERDATA)) };
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Type, length, value. */
function commentIn(data: Uint8Array = new Uint8Array()): string {
  for (let offset = 0; offset + 2 <= data.length; offset += 2 + data[offset + 1]!)
    if (data[offset] === UDATA_COMMENT)
      return value.string(data.subarray(offset + 2, offset + 2 + data[offset + 1]!));
  return "";
}
