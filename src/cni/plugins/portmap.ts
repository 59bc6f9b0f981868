/** portmap: published ports, as elements of the firewall's maps (`../../firewall/README.md`). */
import { existsSync, writeFileSync } from "node:fs";
import { addElements, type Element, listElements, removeElements } from "../../firewall/table.ts";
import { linkByIndex } from "../../netlink/link.ts";
import { networkText, routeTo } from "../../netlink/route.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { formatIP, parseIP } from "../../wire/addr.ts";
import { CNI_ERROR, CniError, type PortMap, type Result } from "../types.ts";
import { emptyResult, type Plugin, type PluginContext } from "./plugin.ts";

const PROTOCOLS = ["tcp", "udp", "sctp"];

function mappings(context: PluginContext): PortMap[] {
  const list = (context.runtimeConfig.portMappings as PortMap[] | undefined) ?? [];
  for (const one of list) {
    const range = one.range ?? 1;
    const isPort = (port: number) => Number.isInteger(port) && port >= 1 && port + range - 1 <= 65535;
    if (!isPort(one.hostPort) || !isPort(one.containerPort))
      throw new CniError(
        CNI_ERROR.INVALID_CONFIG,
        `invalid port mapping ${one.hostPort}:${one.containerPort}`,
      );
    if (!PROTOCOLS.includes(one.protocol))
      throw new CniError(
        CNI_ERROR.INVALID_CONFIG,
        `invalid protocol ${JSON.stringify(one.protocol)} of port ${one.hostPort}`,
      );
  }
  return list;
}

/** The container's own addresses in a result: `[ip, address with prefix]`, one a family. */
export function containerAddresses(
  result: Result,
  ifName: string,
): { family: 4 | 6; ip: string; cidr: string }[] {
  const found: { family: 4 | 6; ip: string; cidr: string }[] = [];
  for (const one of result.ips) {
    const on = one.interface === undefined ? undefined : result.interfaces[one.interface];
    if (on && !(on.name === ifName && on.sandbox)) continue;
    const ip = parseIP(one.address.split("/")[0]!);
    if (ip && !found.some(other => other.family === ip.family))
      found.push({ family: ip.family, ip: formatIP(ip), cidr: one.address });
  }
  return found;
}

/** The elements that publish `list` for a container with these addresses. */
export function portElements(
  list: readonly PortMap[],
  addresses: readonly { family: 4 | 6; ip: string; cidr: string }[],
): Element[] {
  const elements: Element[] = [];
  const used = new Set<4 | 6>();
  for (const one of list) {
    const host = one.hostIP ? parseIP(one.hostIP) : undefined;
    if (one.hostIP && !host)
      throw new CniError(CNI_ERROR.INVALID_CONFIG, `invalid host address ${JSON.stringify(one.hostIP)}`);
    const wildcard = host === undefined || host.bytes.every(byte => byte === 0);
    const range = one.range ?? 1;
    for (const { family, ip } of addresses) {
      if (host && host.family !== family) continue;
      used.add(family);
      const prefix = wildcard ? `${one.protocol} . ` : `${one.protocol} . ${formatIP(host!)} . `;
      const name = (kind: "port" | "range") => `${wildcard ? "" : "host"}${kind}${family}`;
      if (range > 1 && one.hostPort === one.containerPort)
        elements.push({
          set: name("range"),
          key: `${prefix}${one.hostPort}-${one.hostPort + range - 1}`,
          value: ip,
        });
      else
        for (let offset = 0; offset < range; offset++)
          elements.push({
            set: name("port"),
            key: `${prefix}${one.hostPort + offset}`,
            value: `${ip} . ${one.containerPort + offset}`,
          });
    }
  }
  for (const { family, ip, cidr } of addresses)
    if (used.has(family)) elements.push({ set: `hairpin${family}`, key: `${networkText(cidr)} . ${ip}` });
  return elements;
}

/** Lets packets from 127.0.0.1 leave by the interface that leads to the container (ip-sysctl, route_localnet). */
function allowLocalhost(ip: string): void {
  using nl = new NetlinkSocket();
  const index = routeTo(nl, ip)?.index;
  const link = index ? linkByIndex(nl, index) : undefined;
  const path = `/proc/sys/net/ipv4/conf/${link?.name}/route_localnet`;
  if (link && existsSync(path)) writeFileSync(path, "1");
}

const ownerOf = (context: PluginContext) => `${context.containerId}.portmap`;

export const portmap: Plugin = {
  add(context) {
    const result = context.prevResult;
    if (!result) throw new CniError(CNI_ERROR.INVALID_CONFIG, "must be called as chained plugin");
    const list = mappings(context);
    if (list.length === 0) return result;
    const addresses = containerAddresses(result, context.ifName);
    addElements(ownerOf(context), portElements(list, addresses));
    const four = addresses.find(one => one.family === 4);
    if (four && context.conf.snat !== false) allowLocalhost(four.ip);
    return result;
  },
  del(context) {
    removeElements(ownerOf(context));
  },
  check(context) {
    const result = context.prevResult ?? emptyResult(context.cniVersion);
    const wanted = portElements(mappings(context), containerAddresses(result, context.ifName));
    const there = listElements().filter(one => one.owner === ownerOf(context));
    for (const one of wanted)
      if (!there.some(other => other.set === one.set && other.key === one.key))
        throw new CniError(CNI_ERROR.INTERNAL, `the firewall's ${one.set} has no element ${one.key}`);
  },
};
