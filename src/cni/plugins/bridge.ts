/**
 * bridge: a veth pair between the namespace and a bridge of the host, which is the containers' gateway.
 *
 * ADD: addresses from IPAM → the bridge, made where it is missing → a veth made inside the namespace with its peer on the
 * bridge, its options, VLANs and guard → addresses and routes in the namespace → gateway address on the bridge, forwarding →
 * source NAT. What a step made goes back when a later one fails: the pair first, since while it lives nobody else may be given
 * its address.
 */
import { guardMac, unguardMac } from "../../firewall/spoof.ts";
import { type Link, linkByIndex, linkByName } from "../../netlink/link.ts";
import { knowsKind } from "../../netlink/new-link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import * as netns from "../../sys/netns.ts";
import { CNI_ERROR, CniError, type Result, type ResultInterface } from "../types.ts";
import { addressesOf, containerAddress } from "./address.ts";
import { dropInside, hasNetns } from "./attach.ts";
import { checkAttached } from "./bridge-check.ts";
import { type BridgeConf, FIELDS, macOf, readConf } from "./bridge-conf.ts";
import { ensureBridge, ensureVlanLink, joinBridge } from "./bridge-device.ts";
import { awaitDad } from "./dad.ts";
import { allowForwarding } from "./forwarding.ts";
import { firstOf, holdGateway, refuseRival } from "./gateway.ts";
import { dropDead, dropForgotten, hostEndAlias } from "./host-end.ts";
import { configureInside } from "./inside.ts";
import { emptyResult, type Plugin, type PluginContext } from "./plugin.ts";
import { backendOf, masquerade, removeMasquerade } from "./rules.ts";
import { requireBackend } from "./usable.ts";
import { awaitCarrier, makePair } from "./veth.ts";

/** What IPAM gave, with the gateways and the default route that the configuration asks for. */
function addressed(context: PluginContext, conf: BridgeConf, given: Result): Result {
  const result = { ...emptyResult(context.cniVersion), routes: [...given.routes], dns: given.dns };
  for (const one of given.ips) {
    const gateway = one.gateway || (conf.isGateway ? firstOf(one.address) : undefined);
    result.ips.push({ ...one, gateway, interface: 2 });
    const dst = one.address.includes(":") ? "::/0" : "0.0.0.0/0";
    if (conf.isDefaultGateway && !result.routes.some(route => route.dst === dst))
      result.routes.push({ dst, gw: gateway });
  }
  return result;
}

/** The gateway's side of an attachment. Gives the link of a VLAN's gateway, which the result names. */
function beGateway(nl: NetlinkSocket, conf: BridgeConf, master: Link, result: Result): Link | undefined {
  const vlan = conf.vlan === undefined ? undefined : ensureVlanLink(nl, conf, master);
  const what = vlan ? "vlan interface for bridge with addr" : "bridge addr";
  holdGateway(nl, { forceAddress: conf.forceAddress, what, alone: true }, vlan ?? master, result);
  allowForwarding(result);
  return vlan && linkByIndex(nl, vlan.index);
}

/** Before the bridge is made: that no other has one of its networks. */
function refuseRivals(nl: NetlinkSocket, conf: BridgeConf, { ips }: Result): void {
  if (!conf.isGateway || conf.vlan !== undefined) return;
  for (const { gateway, address } of ips)
    if (gateway)
      refuseRival(nl, { name: conf.bridge, index: 0, master: 0 }, `${gateway}/${address.split("/")[1]}`);
}

/** Addresses and routes inside, the gateway's side, the rules. Gives the result's interfaces behind the host's two. */
async function configure(
  nl: NetlinkSocket,
  context: PluginContext,
  conf: BridgeConf,
  master: Link,
  result: Result,
): Promise<ResultInterface[]> {
  const { ifName, netns: sandbox } = context;
  const mac = conf.disableContainerInterface
    ? containerMac(context)
    : configureInside(context, result, { detectDuplicates: conf.enabledad });
  if (conf.enabledad) await awaitDad(sandbox, ifName);
  const gateway = conf.isGateway && result.ips.length > 0 ? beGateway(nl, conf, master, result) : undefined;
  return [{ name: ifName, mac, sandbox }, ...(gateway ? [{ name: gateway.name, mac: gateway.mac }] : [])];
}

/** What went wrong first is what the person must hear of. */
function quietly(step: () => void): void {
  try {
    step();
  } catch {}
}

function containerMac(context: PluginContext): string {
  return netns.run(context.netns, () => {
    using nl = new NetlinkSocket();
    return linkByName(nl, context.ifName)!.mac;
  });
}

export const bridge: Plugin = {
  fields: FIELDS,

  async add(context) {
    const conf = readConf(context.conf);
    const { containerId, ifName } = context;
    const type = context.conf.ipam?.type;
    let given: Result | undefined;
    let port: string | undefined;
    try {
      // What can't be had is refused before anything is made; but a lease of dhcp's comes in by the interface.
      if (type && type !== "dhcp") given = await context.ipam.add();
      using nl = new NetlinkSocket();
      const master = ensureBridge(nl, conf, () => {
        if (given) refuseRivals(nl, conf, addressed(context, conf, given));
      });
      port = makePair(context, { mtu: conf.mtu, mac: macOf(context) });
      const { index, mac } = joinBridge(nl, conf, master, port, hostEndAlias(context));
      if (conf.macspoofchk) guardMac(containerId, ifName, port, containerMac(context));
      if (type === "dhcp") given = await context.ipam.add();
      if (given?.ips.length === 0)
        throw new CniError(CNI_ERROR.INTERNAL, "IPAM plugin returned missing IP config");
      const result = addressed(context, conf, given ?? emptyResult(context.cniVersion));
      const inside = await configure(nl, context, conf, master, result);
      if (!conf.disableContainerInterface) awaitCarrier(nl, index);
      const { name, mac: own } = linkByIndex(nl, master.index)!;
      result.interfaces = [{ name, mac: own }, { name: port, mac }, ...inside];
      if (Object.keys(conf.dns ?? {}).length > 0) result.dns = conf.dns as Result["dns"];
      const targets = result.ips.map(one => containerAddress(one.address));
      if (conf.ipMasq) masquerade(context, targets);
      return result;
    } catch (error) {
      if (port) quietly(() => dropInside(context));
      if (conf.macspoofchk) quietly(() => unguardMac(containerId, ifName));
      if (given) await context.ipam.del().catch(() => {});
      throw error;
    }
  },

  async del(context) {
    // The address goes last: while the link lives, nobody else may be given it.
    if (hasNetns(context)) dropInside(context);
    else dropForgotten(context);
    if (context.conf.macspoofchk) unguardMac(context.containerId, context.ifName);
    removeMasquerade(context);
    if (context.conf.ipam?.type) await context.ipam.del();
  },

  refresh(context) {
    const conf = readConf(context.conf);
    const result = context.prevResult!;
    if (conf.isGateway) allowForwarding(result);
    removeMasquerade(context);
    if (conf.ipMasq) masquerade(context, addressesOf(result, context.ifName));
    const [, port] = result.interfaces;
    const own = result.interfaces.find(one => one.name === context.ifName && one.sandbox);
    if (conf.macspoofchk && port && own?.mac)
      guardMac(context.containerId, context.ifName, port.name, own.mac);
  },

  async check(context) {
    if (context.conf.ipam?.type) await context.ipam.check();
    checkAttached(context);
  },

  gc(context) {
    const dead = dropDead(context);
    if (!context.conf.macspoofchk) return;
    for (const { containerId, ifName } of dead) unguardMac(containerId, ifName);
  },

  status(context) {
    const missing = (what: string) => new CniError(CNI_ERROR.NOT_AVAILABLE, what);
    const conf = readConf(context.conf);
    using nl = new NetlinkSocket();
    for (const kind of ["bridge", "veth"])
      if (!knowsKind(nl, kind)) throw missing(`this kernel has no links of kind ${kind}`);
    const link = linkByName(nl, conf.bridge);
    if (link && link.kind !== "bridge")
      throw missing(`${JSON.stringify(conf.bridge)} already exists but is not a bridge`);
    if (conf.ipMasq) requireBackend(backendOf(context, "ipMasqBackend"));
  },
};
