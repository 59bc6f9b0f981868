/** New links (rtnetlink(7); linux/if_link.h, linux/veth.h): one maker for every kind that we make. */
import { hasCode } from "../base/errors.ts";
import { parseIP } from "../wire/addr.ts";
import { type Attribute, attr, body, NLM_F } from "../wire/netlink.ts";
import { filtering } from "./bridge-vlan.ts";
import { checkName, IFF, IFLA, INFO, linkHeader, macBytes, RTM } from "./link.ts";
import type { NetlinkSocket } from "./socket.ts";

const VETH_INFO_PEER = 1;

export interface LinkSpec {
  name: string;
  kind: "bridge" | "veth" | "macvlan" | "ipvlan" | "vlan" | "vxlan" | "vrf" | "ifb" | "dummy";
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
  /** Parent link of a macvlan, ipvlan, vlan or vxlan. */
  parent?: number;
  macvlanMode?: keyof typeof MACVLAN_MODES;
  /** Broadcasts that wait for the macvlan's own queue; the kernel's 1000 where absent. */
  broadcastQueue?: number;
  ipvlanMode?: keyof typeof IPVLAN_MODES;
  /** Number of a VLAN, 0 to 4094. */
  vlanId?: number;
  /** A bridge on which ports have VLANs. */
  vlanFiltering?: boolean;
  /** The routing table of a vrf. */
  vrfTable?: number;
  vxlan?: { id: number; local?: string; port?: number; learning?: boolean };
}

export const MACVLAN_MODES = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;
export const IPVLAN_MODES = { l2: 0, l3: 1, l3s: 2 } as const;
/** The attributes of a kind, also of what a link tells of itself (`Link.info`). */
export const IFLA_MACVLAN = { MODE: 1, BROADCAST_QUEUE: 7 } as const;
export const IFLA_IPVLAN = { MODE: 1 } as const;
export const IFLA_VLAN = { ID: 1 } as const;
export const IFLA_VRF = { TABLE: 1 } as const;

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

function data(spec: LinkSpec): Attribute[] {
  switch (spec.kind) {
    case "veth": {
      const peer = spec.peer ?? { name: `${spec.name}p` };
      const flags = peer.up ? IFF.UP : 0;
      return [attr.bytes(VETH_INFO_PEER, body(linkHeader(0, flags, flags), common(peer)))];
    }
    case "macvlan": {
      const attributes = [attr.u32(IFLA_MACVLAN.MODE, MACVLAN_MODES[spec.macvlanMode ?? "bridge"])];
      if (spec.broadcastQueue) attributes.push(attr.u32(IFLA_MACVLAN.BROADCAST_QUEUE, spec.broadcastQueue));
      return attributes;
    }
    case "ipvlan":
      return [attr.u16(IFLA_IPVLAN.MODE, IPVLAN_MODES[spec.ipvlanMode ?? "l2"])];
    case "bridge":
      return spec.vlanFiltering ? filtering() : [];
    case "vlan":
      return [attr.u16(IFLA_VLAN.ID, spec.vlanId ?? 0)];
    case "vrf":
      return [attr.u32(IFLA_VRF.TABLE, spec.vrfTable ?? 0)];
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
  const info = [attr.string(INFO.KIND, spec.kind)];
  if (details.length) info.push(attr.nested(INFO.DATA, details));
  attributes.push(attr.nested(IFLA.LINKINFO, info));
  nl.request(
    `add ${spec.kind} ${spec.name}`,
    RTM.NEWLINK,
    NLM_F.CREATE | NLM_F.EXCL,
    body(linkHeader(0, flags, flags), attributes),
  );
}

/**
 * Whether this kernel makes links of a kind, with a module that it can load. The question is a request that every kernel
 * refuses (no link has so many queues), but not before it looked for the kind.
 */
export function knowsKind(nl: NetlinkSocket, kind: string): boolean {
  const IMPOSSIBLE = 0xffff;
  try {
    const attributes = [
      attr.u32(IFLA.NUM_TX_QUEUES, IMPOSSIBLE),
      attr.nested(IFLA.LINKINFO, [attr.string(INFO.KIND, kind)]),
    ];
    nl.request(
      `ask for links of kind ${kind}`,
      RTM.NEWLINK,
      NLM_F.CREATE | NLM_F.EXCL,
      body(linkHeader(0), attributes),
    );
    return true;
  } catch (error) {
    return !hasCode(error, "EOPNOTSUPP");
  }
}
