/**
 * bridge: a veth pair between the namespace and a bridge of the host, which is the containers' gateway.
 *
 * ADD: the bridge, made where it is missing → a veth made inside the namespace with its peer on the bridge → addresses
 * from IPAM → addresses and routes in the namespace → gateway address on the bridge, forwarding → source NAT.
 */
import { hasCode } from "../../base/errors.ts";
import { addAddress, addresses, deleteAddress, IFA_F } from "../../netlink/address.ts";
import { setBridgePort } from "../../netlink/bridge-port.ts";
import { dropLink } from "../../netlink/drop-link.ts";
import { type Link, linkByIndex, linkByName, setLink } from "../../netlink/link.ts";
import { addLink } from "../../netlink/new-link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import * as netns from "../../sys/netns.ts";
import {
  bigIntToIp,
  contains,
  formatIP,
  ipToBigInt,
  networkOf,
  parseCidr,
  parseIP,
} from "../../wire/addr.ts";
import { CNI_ERROR, CniError, type Result } from "../types.ts";
import { addressesOf, containerAddress } from "./address.ts";
import { allowForwarding } from "./forwarding.ts";
import { configureInside, sysctl } from "./inside.ts";
import { emptyResult, type Plugin, type PluginContext } from "./plugin.ts";
import { masquerade, removeMasquerade } from "./rules.ts";
import { dropHostEnd, makePair } from "./veth.ts";

interface BridgeConf {
  bridge?: string;
  isGateway?: boolean;
  isDefaultGateway?: boolean;
  forceAddress?: boolean;
  ipMasq?: boolean;
  mtu?: number;
  hairpinMode?: boolean;
  promiscMode?: boolean;
  portIsolation?: boolean;
  vlan?: number;
  mac?: string;
}

const invalid = (message: string) => new CniError(CNI_ERROR.INVALID_CONFIG, message);
const bridgeName = (conf: BridgeConf) => conf.bridge || "cni0";

function confOf(context: PluginContext): BridgeConf {
  const conf = context.conf as unknown as BridgeConf;
  if (conf.hairpinMode && conf.promiscMode)
    throw invalid("cannot set hairpin mode and promiscuous mode at the same time");
  if (conf.vlan) throw new CniError(CNI_ERROR.UNSUPPORTED_FIELD, "bridge: vlan is not supported yet");
  return { ...conf, isGateway: conf.isGateway || conf.isDefaultGateway };
}

/** The bridge, made and up. Another process may make it at the same moment. */
function ensureBridge(nl: NetlinkSocket, conf: BridgeConf): Link {
  const name = bridgeName(conf);
  let bridge = linkByName(nl, name);
  if (!bridge) {
    try {
      addLink(nl, { kind: "bridge", name, mtu: conf.mtu });
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
    }
    bridge = linkByName(nl, name)!;
    sysctl(`ipv6/conf/${name}/accept_ra`, "0");
    // While the bridge asks whether its link-local address is free (two seconds), it asks for no neighbour.
    sysctl(`ipv6/conf/${name}/accept_dad`, "0");
  }
  if (bridge.kind !== "bridge")
    throw new CniError(CNI_ERROR.INTERNAL, `${name} already exists but is not a bridge`);
  if (!bridge.up || (conf.promiscMode && !bridge.promisc))
    setLink(nl, bridge.index, { up: true, promisc: conf.promiscMode ? true : undefined });
  return bridge;
}

/** Gives the bridge the gateway's addresses. An address that is another's is an error, or is taken (`forceAddress`). */
export function holdGateway(
  nl: NetlinkSocket,
  conf: Pick<BridgeConf, "forceAddress">,
  bridge: Link,
  result: Result,
): void {
  const have = addresses(nl, { index: bridge.index });
  const gateways = result.ips.map(one => `${one.gateway}/${one.address.split("/")[1]}`);
  for (const [index, one] of result.ips.entries()) {
    if (!one.gateway) continue;
    const cidr = parseCidr(one.address)!;
    const wanted = gateways[index]!;
    if (have.some(other => `${other.ip}/${other.prefix}` === wanted)) continue;
    const rival = have.find(
      other =>
        other.family === cidr.ip.family &&
        other.scope === "global" &&
        !gateways.includes(`${other.ip}/${other.prefix}`) &&
        (cidr.ip.family === 4 || contains(cidr, parseIP(other.ip)!)),
    );
    if (rival) {
      if (!conf.forceAddress)
        throw new CniError(
          CNI_ERROR.INTERNAL,
          `failed to set bridge addr: "${bridge.name}" already has an IP address different from ${wanted}`,
        );
      deleteAddress(nl, bridge.index, `${rival.ip}/${rival.prefix}`);
    }
    try {
      addAddress(nl, { index: bridge.index, address: wanted, flags: cidr.ip.family === 6 ? IFA_F.NODAD : 0 });
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
    }
  }
  // A bridge without a fixed address takes the lowest of its ports', and would change it as containers come and go.
  const now = linkByIndex(nl, bridge.index)!;
  if (now.mac) setLink(nl, bridge.index, { mac: now.mac });
}

export const bridge: Plugin = {
  async add(context) {
    const conf = confOf(context);
    const mac = (context.runtimeConfig.mac as string | undefined) ?? context.args.MAC ?? conf.mac;
    // Addresses first: what can't be had is refused before any link is made.
    const given = context.conf.ipam?.type ? await context.ipam.add() : undefined;
    if (given?.ips.length === 0)
      throw new CniError(CNI_ERROR.INTERNAL, "IPAM plugin returned missing IP config");
    using nl = new NetlinkSocket();
    const master = ensureBridge(nl, conf);
    const hostName = makePair(context, { mtu: conf.mtu, mac });
    const host = linkByName(nl, hostName)!;
    sysctl(`ipv6/conf/${hostName}/accept_ra`, "0");
    setLink(nl, host.index, { master: master.index, up: true });
    if (conf.hairpinMode || conf.portIsolation)
      setBridgePort(nl, host.index, { hairpin: conf.hairpinMode, isolated: conf.portIsolation });

    const result = emptyResult(context.cniVersion);
    if (given) {
      result.ips = given.ips.map(one => ({ ...one, interface: 2 }));
      result.routes = [...given.routes];
      result.dns = given.dns;
      for (const one of result.ips) {
        const cidr = parseCidr(one.address)!;
        if (!one.gateway && conf.isGateway)
          one.gateway = formatIP(bigIntToIp(ipToBigInt(networkOf(cidr)) + 1n, cidr.ip.family));
        const dst = cidr.ip.family === 4 ? "0.0.0.0/0" : "::/0";
        if (conf.isDefaultGateway && !result.routes.some(route => route.dst === dst))
          result.routes.push({ dst, gw: one.gateway });
      }
    }
    const containerMac = configureInside(context, result);
    if (conf.isGateway) {
      holdGateway(nl, conf, master, result);
      allowForwarding(result);
    }
    if (conf.ipMasq)
      masquerade(
        context,
        result.ips.map(one => containerAddress(one.address)),
      );
    const dns = context.conf.dns as Result["dns"] | undefined;
    if (dns && Object.keys(dns).length > 0) result.dns = dns;
    result.interfaces = [
      { name: master.name, mac: linkByIndex(nl, master.index)!.mac },
      { name: hostName, mac: host.mac },
      { name: context.ifName, mac: containerMac, sandbox: context.netns },
    ];
    return result;
  },

  async del(context) {
    // The address goes last: while the link lives, nobody else may be given it.
    if (context.netns && netns.isNetns(context.netns)) {
      using nl = netns.run(context.netns, () => new NetlinkSocket());
      const link = linkByName(nl, context.ifName);
      if (link) dropLink(nl, link.index);
    } else dropHostEnd(context.prevResult);
    removeMasquerade(context);
    if (context.conf.ipam?.type) await context.ipam.del();
  },

  refresh(context) {
    const conf = confOf(context);
    const result = context.prevResult!;
    if (conf.isGateway) allowForwarding(result);
    if (conf.ipMasq) masquerade(context, addressesOf(result, context.ifName));
  },

  async check(context) {
    if (context.conf.ipam?.type) await context.ipam.check();
    using nl = new NetlinkSocket();
    const name = bridgeName(context.conf as unknown as BridgeConf);
    if (linkByName(nl, name)?.kind !== "bridge")
      throw new CniError(CNI_ERROR.INTERNAL, `${name} is not a bridge, or is gone`);
    const missing = netns.run(context.netns, () => {
      using inside = new NetlinkSocket();
      const link = linkByName(inside, context.ifName);
      if (!link) return `interface ${context.ifName}`;
      const have = addresses(inside, { index: link.index }).map(one => `${one.ip}/${one.prefix}`);
      const wanted =
        context.prevResult?.ips.filter(
          one => context.prevResult!.interfaces[one.interface ?? -1]?.name === context.ifName,
        ) ?? [];
      return wanted.find(one => !have.includes(one.address))?.address;
    });
    if (missing) throw new CniError(CNI_ERROR.INTERNAL, `the container has lost ${missing}`);
  },
};
