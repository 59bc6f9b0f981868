/**
 * portmap: published ports, as elements of the firewall's maps (`../../firewall/README.md`).
 *
 * Of several addresses of one family the first is the target, as with Go's plugin.
 */
import { existsSync, writeFileSync } from "node:fs";
import { type Element, fieldsOf, owner, sameValue } from "../../firewall/element.ts";
import { isPortMap } from "../../firewall/layout.ts";
import { type ContainerAddress, type Protocol, type PublishedPort, publish } from "../../firewall/ports.ts";
import { listElements } from "../../firewall/transaction.ts";
import { setBridgePort } from "../../netlink/bridge-port.ts";
import { forgetUdpToHost } from "../../netlink/conntrack.ts";
import { linkByIndex, linkByName } from "../../netlink/link.ts";
import { routeTo } from "../../netlink/route.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { formatIP, parseIP } from "../../wire/addr.ts";
import { CNI_ERROR, CniError, type PortMap, type Result } from "../types.ts";
import { addressesOf } from "./address.ts";
import type { Plugin, PluginContext } from "./plugin.ts";
import { removePorts } from "./rules.ts";

const invalid = (message: string) => new CniError(CNI_ERROR.INVALID_CONFIG, message);

/** What the capability argument `portMappings` asks for. Throws a CniError where it makes no sense. */
export function readPortMappings(list: readonly PortMap[]): PublishedPort[] {
  return list.map(one => {
    const count = one.range ?? 1;
    const protocol = (one.protocol || "tcp").toLowerCase();
    const isPort = (port: unknown) =>
      Number.isInteger(port) && (port as number) >= 1 && (port as number) + count - 1 <= 65535;
    if (!Number.isInteger(count) || count < 1 || !isPort(one.hostPort) || !isPort(one.containerPort))
      throw invalid(
        `invalid port mapping ${one.hostPort}:${one.containerPort}${count === 1 ? "" : ` of ${count} ports`}`,
      );
    if (!["tcp", "udp", "sctp"].includes(protocol))
      throw invalid(`invalid protocol ${JSON.stringify(one.protocol)} of port ${one.hostPort}`);
    const published: PublishedPort = {
      protocol: protocol as Protocol,
      hostPort: one.hostPort,
      containerPort: one.containerPort,
      count,
    };
    if (one.hostIP) {
      const host = parseIP(one.hostIP);
      if (!host) throw invalid(`invalid host address ${JSON.stringify(one.hostIP)}`);
      const address = host.bytes.every(byte => byte === 0) ? undefined : formatIP(host);
      published.host = { version: host.family, address };
    }
    return published;
  });
}

function mappingsOf(context: PluginContext): PublishedPort[] {
  return readPortMappings((context.runtimeConfig.portMappings as PortMap[] | undefined) ?? []);
}

/** The address of each family that ports are sent to. */
function targets(context: PluginContext): ContainerAddress[] {
  const result = context.prevResult;
  if (!result) throw invalid("portmap must be called as a chained plugin");
  const all = addressesOf(result, context.ifName);
  return all.filter((one, index) => all.findIndex(other => other.version === one.version) === index);
}

/** Options of Go's plugin that narrow or widen what is published; to ignore one would be to publish something else. */
function refuseUnsupported(context: PluginContext): void {
  for (const option of ["conditionsV4", "conditionsV6", "masqAll"]) {
    const value = context.conf[option];
    if (Array.isArray(value) ? value.length > 0 : value)
      throw new CniError(CNI_ERROR.UNSUPPORTED_FIELD, `portmap: ${option} is not supported`);
  }
}

/** What publishes the ports. With `snat` false no client's address is replaced by ours. */
function elementsOf(context: PluginContext): Element[] {
  const mine = owner(context.containerId, context.ifName);
  const mappings = mappingsOf(context);
  const elements = targets(context).flatMap(target => publish(mine, target, mappings));
  return context.conf.snat === false ? elements.filter(one => isPortMap(one.set)) : elements;
}

/** Lets packets from 127.0.0.1 leave by the interface that leads to the container (ip-sysctl, route_localnet). */
function allowLocalhost(ip: string): void {
  using nl = new NetlinkSocket();
  const index = routeTo(nl, ip)?.index;
  const link = index ? linkByIndex(nl, index) : undefined;
  const path = `/proc/sys/net/ipv4/conf/${link?.name}/route_localnet`;
  if (link && existsSync(path)) writeFileSync(path, "1");
}

/**
 * Lets the container's bridge port send back where it received from. Where the host filters bridged packets
 * (bridge-nf-call-iptables), a connection of the container to its own published port never leaves the bridge. A bridge
 * in promiscuous mode does so already; both together would send everything twice.
 */
function allowHairpin(result: Result): void {
  using nl = new NetlinkSocket();
  for (const one of result.interfaces) {
    const link = one.sandbox ? undefined : linkByName(nl, one.name);
    const master = link?.master ? linkByIndex(nl, link.master) : undefined;
    if (link && master?.kind === "bridge" && !master.promisc)
      setBridgePort(nl, link.index, { hairpin: true });
  }
}

/** Clients that have been sending all along go where the port leads from now on. */
function forgetOldFlows(context: PluginContext, mappings: readonly PublishedPort[]): void {
  const udp = mappings.filter(one => one.protocol === "udp");
  for (const version of [4, 6] as const) {
    const ranges = udp
      .filter(one => one.host === undefined || one.host.version === version)
      .map(one => [one.hostPort, one.hostPort + one.count - 1] as const);
    if (ranges.length > 0) context.firewall.afterwards(() => forgetUdpToHost(version, ranges));
  }
}

function publishAll(context: PluginContext): Result {
  const addresses = targets(context);
  const mappings = mappingsOf(context);
  if (mappings.length > 0) {
    refuseUnsupported(context);
    context.firewall.add(...elementsOf(context));
    const four = addresses.find(one => one.version === 4);
    if (four && context.conf.snat !== false) allowLocalhost(four.address);
    allowHairpin(context.prevResult!);
    forgetOldFlows(context, mappings);
  }
  return context.prevResult!;
}

export const portmap: Plugin = {
  add: publishAll,
  refresh: context => void publishAll(context),

  del(context) {
    removePorts(context);
    try {
      forgetOldFlows(context, mappingsOf(context));
    } catch (error) {
      // ADD refused such mappings, so no flow follows them.
      if (!(error instanceof CniError)) throw error;
    }
  },

  check(context) {
    const mine = owner(context.containerId, context.ifName);
    const there = listElements().filter(one => one.owner === mine);
    for (const wanted of elementsOf(context))
      if (!there.some(one => one.set === wanted.set && sameValue(one.key, wanted.key)))
        throw new CniError(
          CNI_ERROR.INTERNAL,
          `port ${JSON.stringify(fieldsOf(wanted.key).at(-1))} of container ${context.containerId.slice(0, 12)} is not published any more`,
        );
  },
};
