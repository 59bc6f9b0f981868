/**
 * portmap: published ports, kept in one of three ways (`rules.ts`, `../../firewall/README.md`).
 *
 * Of several addresses of one family the first is the target, as with Go's plugin.
 */
import { existsSync, writeFileSync } from "node:fs";
import type { ContainerAddress, PublishedPort } from "../../firewall/ports.ts";
import { setBridgePort } from "../../netlink/bridge-port.ts";
import { forgetUdpToHost } from "../../netlink/conntrack.ts";
import { linkByIndex, linkByName } from "../../netlink/link.ts";
import { routeTo } from "../../netlink/route.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { CNI_ERROR, CniError, type PortMap, type Result } from "../types.ts";
import { addressesOf } from "./address.ts";
import { collectPorts } from "./collect.ts";
import type { Plugin, PluginContext } from "./plugin.ts";
import { findUnpublished } from "./port-check.ts";
import { PORTMAP_FIELDS, readPortMappings, readPublishing } from "./port-mapping.ts";
import { publishPorts, removePorts } from "./rules.ts";
import { requireBackend } from "./usable.ts";

/** The address of each family that ports are sent to. */
function targets(context: PluginContext): ContainerAddress[] {
  const result = context.prevResult;
  if (!result) throw new CniError(CNI_ERROR.INVALID_CONFIG, "must be called as chained plugin");
  const all = addressesOf(result, context.ifName);
  return all.filter((one, index) => all.findIndex(other => other.version === one.version) === index);
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
    if (ranges.length > 0)
      context.firewall.afterwards(netfilter => forgetUdpToHost(netfilter, version, ranges));
  }
}

function mappingsOf(context: PluginContext): PublishedPort[] {
  const given = context.runtimeConfig.portMappings ?? [];
  if (!Array.isArray(given))
    throw new CniError(
      CNI_ERROR.DECODE,
      "failed to parse config: failed to parse network configuration",
      "portMappings must be a list of objects",
    );
  return readPortMappings(given as PortMap[]);
}

function publishAll(context: PluginContext): Result {
  const how = readPublishing(context);
  const addresses = targets(context);
  const mappings = mappingsOf(context);
  if (mappings.length > 0) {
    publishPorts(context, addresses, mappings, how);
    const four = addresses.find(one => one.version === 4);
    if (four && how.snat) allowLocalhost(four.address);
    allowHairpin(context.prevResult!);
    forgetOldFlows(context, mappings);
  }
  return context.prevResult!;
}

export const portmap: Plugin = {
  fields: PORTMAP_FIELDS,
  add: publishAll,
  refresh(context) {
    removePorts(context);
    publishAll(context);
  },

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
    if (!context.prevResult) throw new CniError(CNI_ERROR.INVALID_CONFIG, "Required prevResult missing");
    const how = readPublishing(context);
    const missing = findUnpublished(context, targets(context), mappingsOf(context), how);
    if (missing)
      throw new CniError(
        CNI_ERROR.INTERNAL,
        `port ${missing.hostPort} of container ${context.containerId.slice(0, 12)} is not published any more`,
      );
  },

  gc: collectPorts,
  status: context => requireBackend(readPublishing(context).backend),
};
