/** Links: network interfaces (rtnetlink(7), `ifinfomsg`; linux/if_link.h). */
import { UserError } from "../base/errors.ts";
import { formatMac, parseMac } from "../wire/addr.ts";
import { type Attribute, attr, body, type Message, parseAttributes, value } from "../wire/netlink.ts";
import type { NetlinkSocket } from "./socket.ts";

/** Messages, attributes and flags that the files of links share. */
export const RTM = { NEWLINK: 16, DELLINK: 17, GETLINK: 18, SETLINK: 19 } as const;
export const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  TXQLEN: 13,
  OPERSTATE: 16,
  LINKINFO: 18,
  IFALIAS: 20,
  GROUP: 27,
  NET_NS_FD: 28,
  EXT_MASK: 29,
  NUM_TX_QUEUES: 31,
  LINK_NETNSID: 37,
  PROTINFO: 12,
} as const;
export const INFO = { KIND: 1, DATA: 2 } as const;

export const IFF = { UP: 1, LOOPBACK: 8, PROMISC: 0x100, ALLMULTI: 0x200, LOWER_UP: 0x10000 } as const;

const OPER_STATES = ["unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"] as const;

export interface Link {
  index: number;
  name: string;
  mtu: number;
  /** `aa:bb:cc:dd:ee:ff`; "" for a link without one. */
  mac: string;
  up: boolean;
  promisc: boolean;
  allMulticast: boolean;
  loopback: boolean;
  operState: (typeof OPER_STATES)[number];
  /** Index of the bridge or bond it belongs to; 0 for none. */
  master: number;
  /** `bridge`, `veth`, …; "" for a physical one. */
  kind: string;
  /** What the kind says of it (IFLA_INFO_DATA): a macvlan's mode, a VLAN's number. */
  info: Attribute[];
  /** Index of the other end of a veth or of the parent, in its own namespace. */
  peerIndex: number;
  txQueueLength: number;
  alias: string;
  unknown: Attribute[];
}

/** `struct ifinfomsg`. */
export function linkHeader(index: number, flags = 0, change = 0, family = 0): Uint8Array {
  const buffer = new Uint8Array(16);
  const view = new DataView(buffer.buffer);
  view.setUint8(0, family);
  view.setInt32(4, index, true);
  view.setUint32(8, flags, true);
  view.setUint32(12, change, true);
  return buffer;
}

export function parseLink(message: Message): Link {
  const view = new DataView(message.body.buffer, message.body.byteOffset, message.body.byteLength);
  const flags = view.getUint32(8, true);
  const link: Link = {
    index: view.getInt32(4, true),
    name: "",
    mtu: 0,
    mac: "",
    up: (flags & IFF.UP) !== 0,
    promisc: (flags & IFF.PROMISC) !== 0,
    allMulticast: (flags & IFF.ALLMULTI) !== 0,
    loopback: (flags & IFF.LOOPBACK) !== 0,
    operState: "unknown",
    master: 0,
    kind: "",
    info: [],
    peerIndex: 0,
    txQueueLength: 0,
    alias: "",
    unknown: [],
  };
  for (const attribute of parseAttributes(message.body.subarray(16))) {
    const bytes = attribute.value;
    switch (attribute.type) {
      case IFLA.IFNAME:
        link.name = value.string(bytes);
        break;
      case IFLA.MTU:
        link.mtu = value.u32(bytes);
        break;
      case IFLA.ADDRESS:
        link.mac = bytes.length === 6 ? formatMac(bytes) : "";
        break;
      case IFLA.OPERSTATE:
        link.operState = OPER_STATES[value.u8(bytes)] ?? "unknown";
        break;
      case IFLA.MASTER:
        link.master = value.u32(bytes);
        break;
      case IFLA.LINK:
        link.peerIndex = value.u32(bytes);
        break;
      case IFLA.TXQLEN:
        link.txQueueLength = value.u32(bytes);
        break;
      case IFLA.IFALIAS:
        link.alias = value.string(bytes);
        break;
      case IFLA.LINKINFO: {
        for (const one of parseAttributes(bytes)) {
          if (one.type === INFO.KIND) link.kind = value.string(one.value);
          else if (one.type === INFO.DATA) link.info = parseAttributes(one.value);
        }
        break;
      }
      default:
        link.unknown.push(attribute);
    }
  }
  return link;
}

export function links(nl: NetlinkSocket): Link[] {
  return nl.dump("list links", RTM.GETLINK, linkHeader(0)).map(parseLink);
}

function find(nl: NetlinkSocket, index: number, name?: string): Link | undefined {
  try {
    const attributes = name === undefined ? [] : [attr.string(IFLA.IFNAME, name)];
    const [message] = nl.request(
      `find link ${name ?? index}`,
      RTM.GETLINK,
      0,
      body(linkHeader(index), attributes),
    );
    return message && parseLink(message);
  } catch (error) {
    if ((error as { code?: string }).code === "ENODEV") return undefined;
    throw error;
  }
}

export function linkByName(nl: NetlinkSocket, name: string): Link | undefined {
  return find(nl, 0, checkName(name));
}

export function linkByIndex(nl: NetlinkSocket, index: number): Link | undefined {
  return find(nl, index);
}

/** Interface names: 1 to 15 bytes, no `/`, `:` or white space, not `.` or `..` (dev_valid_name). */
export function checkName(name: string): string {
  const length = new TextEncoder().encode(name).length;
  if (length < 1 || length > 15 || name === "." || name === ".." || /[/:\s]/.test(name))
    throw new UserError(`${JSON.stringify(name)} is no name for a network interface`, {
      hint: "1 to 15 bytes without / : and spaces",
    });
  return name;
}

/** Throws UserError for what is no MAC address. */
export function macBytes(text: string): Uint8Array {
  const mac = parseMac(text);
  if (!mac) throw new UserError(`invalid MAC address ${JSON.stringify(text)}`);
  return mac;
}

export interface LinkChange {
  up?: boolean;
  name?: string;
  mtu?: number;
  mac?: string;
  /** 0 takes it out of its bridge. */
  master?: number;
  netns?: number;
  promisc?: boolean;
  allMulticast?: boolean;
  txQueueLength?: number;
  alias?: string;
  /** A number by which several are spoken of; 0 for all that are in no other group. */
  group?: number;
}

export function setLink(nl: NetlinkSocket, index: number, change: LinkChange): void {
  let flags = 0;
  let mask = 0;
  const flag = (bit: number, on: boolean | undefined) => {
    if (on === undefined) return;
    mask |= bit;
    if (on) flags |= bit;
  };
  flag(IFF.UP, change.up);
  flag(IFF.PROMISC, change.promisc);
  flag(IFF.ALLMULTI, change.allMulticast);
  const attributes: Attribute[] = [];
  if (change.name !== undefined) attributes.push(attr.string(IFLA.IFNAME, checkName(change.name)));
  if (change.mtu !== undefined) attributes.push(attr.u32(IFLA.MTU, change.mtu));
  if (change.mac !== undefined) attributes.push(attr.bytes(IFLA.ADDRESS, macBytes(change.mac)));
  if (change.master !== undefined) attributes.push(attr.u32(IFLA.MASTER, change.master));
  if (change.netns !== undefined) attributes.push(attr.u32(IFLA.NET_NS_FD, change.netns));
  if (change.txQueueLength !== undefined) attributes.push(attr.u32(IFLA.TXQLEN, change.txQueueLength));
  if (change.group !== undefined) attributes.push(attr.u32(IFLA.GROUP, change.group));
  // Without the NUL that ends texts: nothing at all is what takes an alias away.
  if (change.alias !== undefined)
    attributes.push(attr.bytes(IFLA.IFALIAS, new TextEncoder().encode(change.alias)));
  nl.request(`change link ${index}`, RTM.NEWLINK, 0, body(linkHeader(index, flags, mask), attributes));
}

export function deleteLink(nl: NetlinkSocket, index: number): void {
  nl.request(`delete link ${index}`, RTM.DELLINK, 0, linkHeader(index));
}

/** Asks for the deletion of all links of a group, which take one grace period together, without waiting for it. */
export function deleteGroupAside(nl: NetlinkSocket, group: number): void {
  nl.requestAside(RTM.DELLINK, 0, body(linkHeader(0), [attr.u32(IFLA.GROUP, group)]));
}

/** Asks for the same without waiting for it (`drop-link.ts`). */
export function deleteLinkAside(nl: NetlinkSocket, index: number): void {
  nl.requestAside(RTM.DELLINK, 0, linkHeader(index));
}
