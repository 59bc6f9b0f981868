/**
 * VLANs of bridges (linux/if_bridge.h; IFLA_BR_* of linux/if_link.h). A bridge that filters lets a frame out by a port only if
 * the port has the frame's VLAN. Every request fails with EOPNOTSUPP where the kernel has no CONFIG_BRIDGE_VLAN_FILTERING.
 */
import { type Attribute, attr, body, value } from "../wire/netlink.ts";
import { IFLA, INFO, type Link, linkHeader, RTM } from "./link.ts";
import type { NetlinkSocket } from "./socket.ts";

const AF_BRIDGE = 7;
const IFLA_AF_SPEC = 26;
const IFLA_BRIDGE = { FLAGS: 0, VLAN_INFO: 2 } as const;
/** The change is the port's, by its bridge, not the device's own. */
const BRIDGE_FLAGS_MASTER = 1;
const VLAN_INFO = { PVID: 2, UNTAGGED: 4, RANGE_BEGIN: 8, RANGE_END: 16 } as const;
export const IFLA_BR = { VLAN_FILTERING: 7, VLAN_DEFAULT_PVID: 39 } as const;

/** VLANs in a row, 1 to 4094. */
export interface VlanRange {
  first: number;
  last: number;
}

/** `struct bridge_vlan_info`: flags, number. */
const vlanInfo = (flags: number, id: number): Attribute => ({
  type: IFLA_BRIDGE.VLAN_INFO,
  value: Uint8Array.of(flags & 0xff, flags >> 8, id & 0xff, id >> 8),
});

const rangeInfo = ({ first, last }: VlanRange, flags: number) =>
  first === last
    ? [vlanInfo(flags, first)]
    : [vlanInfo(flags | VLAN_INFO.RANGE_BEGIN, first), vlanInfo(flags | VLAN_INFO.RANGE_END, last)];

const portBody = (index: number, vlans: readonly Attribute[]) =>
  body(linkHeader(index, 0, 0, AF_BRIDGE), [
    attr.nested(IFLA_AF_SPEC, [attr.u16(IFLA_BRIDGE.FLAGS, BRIDGE_FLAGS_MASTER), ...vlans]),
  ]);

/** Makes a port one of that VLAN alone: frames without a tag are of it, and leave without one. */
export function setAccessVlan(nl: NetlinkSocket, index: number, vlan: number): void {
  const flags = VLAN_INFO.PVID | VLAN_INFO.UNTAGGED;
  nl.request(`add VLAN ${vlan} to port ${index}`, RTM.SETLINK, 0, portBody(index, [vlanInfo(flags, vlan)]));
}

/** Lets tagged frames of these VLANs pass by a port. */
export function addTrunkVlans(nl: NetlinkSocket, index: number, vlans: readonly VlanRange[]): void {
  const infos = vlans.flatMap(range => rangeInfo(range, 0));
  nl.request(`add VLANs to port ${index}`, RTM.SETLINK, 0, portBody(index, infos));
}

/** Takes a VLAN from a port. */
export function removeVlan(nl: NetlinkSocket, index: number, vlan: number): void {
  nl.request(`remove VLAN ${vlan} from port ${index}`, RTM.DELLINK, 0, portBody(index, [vlanInfo(0, vlan)]));
}

/** What a bridge is told, when it is made or later, to filter. */
export const filtering = (): Attribute[] => [attr.u8(IFLA_BR.VLAN_FILTERING, 1)];

export function filterVlans(nl: NetlinkSocket, bridge: Link): void {
  const info = [attr.string(INFO.KIND, "bridge"), attr.nested(INFO.DATA, filtering())];
  nl.request(
    `filter VLANs on ${bridge.name}`,
    RTM.NEWLINK,
    0,
    body(linkHeader(bridge.index), [attr.nested(IFLA.LINKINFO, info)]),
  );
}

const infoOf = (bridge: Link, type: number) => bridge.info.find(one => one.type === type)?.value;

export function filtersVlans(bridge: Link): boolean {
  const found = infoOf(bridge, IFLA_BR.VLAN_FILTERING);
  return found !== undefined && value.u8(found) === 1;
}

/** The VLAN that a bridge gives to each new port; undefined where it gives none, or the kernel knows of no VLANs. */
export function defaultVlan(bridge: Link): number | undefined {
  const found = infoOf(bridge, IFLA_BR.VLAN_DEFAULT_PVID);
  return (found && value.u16(found)) || undefined;
}
