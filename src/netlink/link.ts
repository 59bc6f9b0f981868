/** Links: network interfaces (rtnetlink(7), `ifinfomsg`; linux/if_link.h). */
import { UserError } from "../base/errors.ts";
import { closeFd, ioctl, O, openFd } from "../sys/fd.ts";
import { bytes } from "../sys/mem.ts";
import { formatMac, parseIP, parseMac } from "../wire/addr.ts";
import { type Attribute, attr, body, type Message, NLM_F, parseAttributes, value } from "../wire/netlink.ts";
import type { NetlinkSocket } from "./socket.ts";

const RTM = { NEWLINK: 16, DELLINK: 17, GETLINK: 18, SETLINK: 19 } as const;
const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  TXQLEN: 13,
  OPERSTATE: 16,
  LINKINFO: 18,
  IFALIAS: 20,
  NET_NS_FD: 28,
  EXT_MASK: 29,
  LINK_NETNSID: 37,
  PROTINFO: 12,
} as const;
const INFO_KIND = 1;
const INFO_DATA = 2;
const VETH_INFO_PEER = 1;
const IFF = { UP: 1, LOOPBACK: 8, PROMISC: 0x100, ALLMULTI: 0x200, LOWER_UP: 0x10000 } as const;
const AF_BRIDGE = 7;
const OPER_STATES = ["unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"] as const;

export interface Link {
  index: number;
  name: string;
  mtu: number;
  /** `aa:bb:cc:dd:ee:ff`; "" for a link without one. */
  mac: string;
  up: boolean;
  promisc: boolean;
  loopback: boolean;
  operState: (typeof OPER_STATES)[number];
  /** Index of the bridge or bond it belongs to; 0 for none. */
  master: number;
  /** `bridge`, `veth`, …; "" for a physical one. */
  kind: string;
  /** Index of the other end of a veth, in its own namespace. */
  peerIndex: number;
  txQueueLength: number;
  alias: string;
  unknown: Attribute[];
}

/** `struct ifinfomsg`. */
function header(index: number, flags = 0, change = 0, family = 0): Uint8Array {
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
    loopback: (flags & IFF.LOOPBACK) !== 0,
    operState: "unknown",
    master: 0,
    kind: "",
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
        const kind = parseAttributes(bytes).find(one => one.type === INFO_KIND);
        if (kind) link.kind = value.string(kind.value);
        break;
      }
      default:
        link.unknown.push(attribute);
    }
  }
  return link;
}

export function links(nl: NetlinkSocket): Link[] {
  return nl.dump("list links", RTM.GETLINK, header(0)).map(parseLink);
}

function find(nl: NetlinkSocket, index: number, name?: string): Link | undefined {
  try {
    const attributes = name === undefined ? [] : [attr.string(IFLA.IFNAME, name)];
    const [message] = nl.request(
      `find link ${name ?? index}`,
      RTM.GETLINK,
      0,
      body(header(index), attributes),
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

export interface LinkSpec {
  name: string;
  kind: "bridge" | "veth" | "macvlan" | "vxlan" | "ifb" | "dummy";
  /** An open descriptor of the namespace that it is made in; this one's where absent. `parent` stays one of this one's. */
  netns?: number;
  mtu?: number;
  mac?: string;
  up?: boolean;
  /** Index of the bridge to join. */
  master?: number;
  txQueueLength?: number;
  /** The other end of a veth; `netns` is an open descriptor of the namespace that it is made in. */
  peer?: { name: string; netns?: number; mac?: string; mtu?: number; up?: boolean; master?: number };
  /** Parent link of a macvlan or vxlan. */
  parent?: number;
  macvlanMode?: "private" | "vepa" | "bridge" | "passthru";
  vxlan?: { id: number; local?: string; port?: number; learning?: boolean };
}

const MACVLAN_MODES = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;

function common(spec: {
  name: string;
  mtu?: number;
  mac?: string;
  netns?: number;
  master?: number;
  txQueueLength?: number;
}): Attribute[] {
  const attributes = [attr.string(IFLA.IFNAME, checkName(spec.name))];
  if (spec.mtu) attributes.push(attr.u32(IFLA.MTU, spec.mtu));
  if (spec.mac) attributes.push(attr.bytes(IFLA.ADDRESS, macBytes(spec.mac)));
  if (spec.netns !== undefined) attributes.push(attr.u32(IFLA.NET_NS_FD, spec.netns));
  if (spec.master) attributes.push(attr.u32(IFLA.MASTER, spec.master));
  if (spec.txQueueLength !== undefined) attributes.push(attr.u32(IFLA.TXQLEN, spec.txQueueLength));
  return attributes;
}

function macBytes(text: string): Uint8Array {
  const mac = parseMac(text);
  if (!mac) throw new UserError(`invalid MAC address ${JSON.stringify(text)}`);
  return mac;
}

function data(spec: LinkSpec): Attribute[] {
  switch (spec.kind) {
    case "veth": {
      const peer = spec.peer ?? { name: `${spec.name}p` };
      const flags = peer.up ? IFF.UP : 0;
      return [attr.bytes(VETH_INFO_PEER, body(header(0, flags, flags), common(peer)))];
    }
    case "macvlan":
      return [attr.u32(1, MACVLAN_MODES[spec.macvlanMode ?? "bridge"])];
    case "vxlan": {
      const IFLA_VXLAN = { ID: 1, LINK: 3, LOCAL: 4, LEARNING: 7, PORT: 15, LOCAL6: 17 } as const;
      const options = spec.vxlan ?? { id: 1 };
      const attributes = [
        attr.u32(IFLA_VXLAN.ID, options.id),
        attr.u8(IFLA_VXLAN.LEARNING, options.learning === false ? 0 : 1),
      ];
      if (spec.parent) attributes.push(attr.u32(IFLA_VXLAN.LINK, spec.parent));
      const local = options.local === undefined ? undefined : parseIP(options.local);
      if (local)
        attributes.push(attr.bytes(local.family === 4 ? IFLA_VXLAN.LOCAL : IFLA_VXLAN.LOCAL6, local.bytes));
      if (options.port) attributes.push(attr.be16(IFLA_VXLAN.PORT, options.port));
      return attributes;
    }
    default:
      return [];
  }
}

/** Makes a link; fails with EEXIST when the name is taken. */
export function addLink(nl: NetlinkSocket, spec: LinkSpec): void {
  const flags = spec.up ? IFF.UP : 0;
  const attributes = common(spec);
  if (spec.parent && spec.kind !== "vxlan") attributes.push(attr.u32(IFLA.LINK, spec.parent));
  const details = data(spec);
  const info = [attr.string(INFO_KIND, spec.kind)];
  if (details.length) info.push(attr.nested(INFO_DATA, details));
  attributes.push(attr.nested(IFLA.LINKINFO, info));
  nl.request(
    `add ${spec.kind} ${spec.name}`,
    RTM.NEWLINK,
    NLM_F.CREATE | NLM_F.EXCL,
    body(header(0, flags, flags), attributes),
  );
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
  if (change.alias !== undefined) attributes.push(attr.string(IFLA.IFALIAS, change.alias));
  nl.request(`change link ${index}`, RTM.NEWLINK, 0, body(header(index, flags, mask), attributes));
}

export function deleteLink(nl: NetlinkSocket, index: number): void {
  nl.request(`delete link ${index}`, RTM.DELLINK, 0, header(index));
}

/** Asks for the same without waiting for it (`drop-link.ts`). */
export function deleteLinkAside(nl: NetlinkSocket, index: number): void {
  nl.requestAside(RTM.DELLINK, 0, header(index));
}

/** Options of a port of a bridge (IFLA_BRPORT_*). */
export function setBridgePort(
  nl: NetlinkSocket,
  index: number,
  options: { hairpin?: boolean; isolated?: boolean; learning?: boolean },
): void {
  const IFLA_BRPORT = { MODE: 4, LEARNING: 8, ISOLATED: 33 } as const;
  const attributes: Attribute[] = [];
  if (options.hairpin !== undefined) attributes.push(attr.u8(IFLA_BRPORT.MODE, options.hairpin ? 1 : 0));
  if (options.learning !== undefined)
    attributes.push(attr.u8(IFLA_BRPORT.LEARNING, options.learning ? 1 : 0));
  if (options.isolated !== undefined)
    attributes.push(attr.u8(IFLA_BRPORT.ISOLATED, options.isolated ? 1 : 0));
  nl.request(
    `change bridge port ${index}`,
    RTM.SETLINK,
    0,
    body(header(index, 0, 0, AF_BRIDGE), [attr.nested(IFLA.PROTINFO, attributes)]),
  );
}

/** Makes a persistent tap device (TUNSETIFF, TUNSETPERSIST) in the calling thread's namespace. */
export function addTap(name: string): void {
  const [TUNSETIFF, TUNSETPERSIST, IFF_TAP, IFF_NO_PI] = [0x400454ca, 0x400454cb, 0x0002, 0x1000];
  const fd = openFd("/dev/net/tun", O.RDWR);
  try {
    const request = bytes(40);
    request.set(new TextEncoder().encode(checkName(name)));
    new DataView(request.buffer).setUint16(16, IFF_TAP | IFF_NO_PI, true);
    ioctl(fd, TUNSETIFF, request);
    // The argument is the flag itself, carried where a pointer would be; any address that is not null means "on".
    ioctl(fd, TUNSETPERSIST, request);
  } finally {
    closeFd(fd);
  }
}
