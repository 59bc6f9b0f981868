/** The host's side of a bridge network: the bridge itself, the containers' ports on it, the link that a VLAN's gateway has. */
import { hasCode } from "../../base/errors.ts";
import { setBridgePort } from "../../netlink/bridge-port.ts";
import {
  addTrunkVlans,
  defaultVlan,
  filtersVlans,
  filterVlans,
  removeVlan,
  setAccessVlan,
} from "../../netlink/bridge-vlan.ts";
import { dropLink } from "../../netlink/drop-link.ts";
import { type Link, linkByIndex, linkByName, setLink } from "../../netlink/link.ts";
import { addLink } from "../../netlink/new-link.ts";
import type { NetlinkSocket } from "../../netlink/socket.ts";
import { CNI_ERROR, CniError } from "../types.ts";
import type { BridgeConf } from "./bridge-conf.ts";
import { sysctl } from "./inside.ts";
import { randomName } from "./veth.ts";

const usesVlans = (conf: BridgeConf) => conf.vlan !== undefined || conf.trunk.length > 0;

/** What the kernel refuses is told as what it lacks. */
function withVlans<T>(conf: BridgeConf, step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (!usesVlans(conf) || !hasCode(error, "EOPNOTSUPP")) throw error;
    throw new CniError(
      CNI_ERROR.INTERNAL,
      `failed to create bridge ${JSON.stringify(conf.bridge)}: operation not supported`,
      "vlan and vlanTrunk need a kernel with bridge VLAN filtering (CONFIG_BRIDGE_VLAN_FILTERING)",
    );
  }
}

/** The bridge, made and up; `mayMake` throws where it may not be made. Another process may make it at the same moment. */
export function ensureBridge(nl: NetlinkSocket, conf: BridgeConf, mayMake: () => void): Link {
  const name = conf.bridge;
  let bridge = linkByName(nl, name);
  if (!bridge) {
    mayMake();
    try {
      withVlans(conf, () =>
        addLink(nl, { kind: "bridge", name, mtu: conf.mtu, vlanFiltering: usesVlans(conf) }),
      );
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
    }
    bridge = linkByName(nl, name)!;
    // A bridge without a fixed address takes the lowest of its ports', and would change it as containers come and go.
    if (bridge.kind === "bridge") setLink(nl, bridge.index, { mac: bridge.mac });
    // While the bridge asks whether its link-local address is free (two seconds), it asks for no neighbour.
    sysctl(`ipv6/conf/${name}/accept_dad`, "0");
  }
  if (bridge.kind !== "bridge")
    throw new CniError(CNI_ERROR.INTERNAL, `${JSON.stringify(name)} already exists but is not a bridge`);
  sysctl(`ipv6/conf/${name}/accept_ra`, "0");
  const found = bridge;
  if (usesVlans(conf) && !filtersVlans(found)) withVlans(conf, () => filterVlans(nl, found));
  if (!bridge.up || (conf.promiscMode && !bridge.promisc))
    setLink(nl, bridge.index, { up: true, promisc: conf.promiscMode ? true : undefined });
  return bridge;
}

/** Connects the host's end of a pair to the bridge, with its options and VLANs. Gives the link as it is then. */
export function joinBridge(
  nl: NetlinkSocket,
  conf: Pick<BridgeConf, "hairpinMode" | "portIsolation" | "vlan" | "trunk" | "preserveDefaultVlan">,
  bridge: Link,
  port: string,
  alias?: string,
): Link {
  const link = linkByName(nl, port)!;
  sysctl(`ipv6/conf/${port}/accept_ra`, "0");
  setLink(nl, link.index, { master: bridge.index, up: true, alias });
  if (conf.hairpinMode || conf.portIsolation)
    setBridgePort(nl, link.index, { hairpin: conf.hairpinMode, isolated: conf.portIsolation });
  const usual = defaultVlan(bridge);
  if ((conf.vlan !== undefined || conf.trunk.length > 0) && !conf.preserveDefaultVlan && usual !== undefined)
    removeVlan(nl, link.index, usual);
  if (conf.vlan !== undefined) setAccessVlan(nl, link.index, conf.vlan);
  if (conf.trunk.length > 0) addTrunkVlans(nl, link.index, conf.trunk);
  return link;
}

/** The link `BRIDGE.VLAN` of the host, its other end a port of the bridge on that VLAN: it has the gateway's address. */
export function ensureVlanLink(nl: NetlinkSocket, conf: BridgeConf, bridge: Link): Link {
  const name = `${bridge.name}.${conf.vlan}`;
  const there = linkByName(nl, name);
  if (there) return there;
  const port = randomName();
  try {
    addLink(nl, { kind: "veth", name, mtu: bridge.mtu, peer: { name: port, mtu: bridge.mtu } });
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
    return linkByName(nl, name)!;
  }
  const made = linkByName(nl, name)!;
  try {
    joinBridge(nl, { ...conf, hairpinMode: false, portIsolation: false }, bridge, port);
    setLink(nl, made.index, { up: true });
  } catch (error) {
    dropLink(nl, made.index);
    throw error;
  }
  return linkByIndex(nl, made.index)!;
}
