/** What a plugin does inside the container's namespace to the interface that it made there. */
import { writeFileSync } from "node:fs";
import { hasCode } from "../../base/errors.ts";
import { addAddress, IFA_F } from "../../netlink/address.ts";
import { type Link, linkByName, setLink } from "../../netlink/link.ts";
import { addRoute, type NewRoute } from "../../netlink/route.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import * as netns from "../../sys/netns.ts";
import type { Result } from "../types.ts";
import type { PluginContext } from "./plugin.ts";

/** Sets `/proc/sys/net/PATH` where the kernel has it. */
export function sysctl(path: string, text: string): void {
  try {
    // By one look-up, which takes a quarter of a millisecond beside a thousand namespaces that have the same file.
    writeFileSync(`/proc/sys/net/${path}`, text, { flag: "r+" });
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
  }
}

export interface InsideOptions {
  /** Addresses of IPv6 are asked for on the wire before they are used (`dad.ts`). */
  detectDuplicates?: boolean;
  /** What has to be done, inside, between addresses and routes. */
  beforeRoutes?(nl: NetlinkSocket, link: Link, result: Result): void;
}

/** Addresses, link up and routes, inside the namespace. Gives the interface's MAC. */
export function configureInside(context: PluginContext, result: Result, options: InsideOptions = {}): string {
  const { detectDuplicates = false } = options;
  return netns.run(context.netns, () => {
    using nl = new NetlinkSocket();
    const link = linkByName(nl, context.ifName)!;
    const six = result.ips.some(one => one.address.includes(":"));
    if (result.ips.length > 0) sysctl(`ipv4/conf/${context.ifName}/arp_notify`, "1");
    if (six) {
      for (const name of ["lo", context.ifName]) sysctl(`ipv6/conf/${name}/disable_ipv6`, "0");
      sysctl(`ipv6/conf/${context.ifName}/keep_addr_on_down`, "1");
      sysctl(`ipv6/conf/${context.ifName}/ndisc_notify`, "1");
    }
    if (result.ips.length > 0) sysctl(`ipv6/conf/${context.ifName}/accept_dad`, detectDuplicates ? "1" : "0");
    if (detectDuplicates) sysctl(`ipv6/conf/${context.ifName}/enhanced_dad`, "1");
    for (const one of result.ips)
      addAddress(nl, {
        index: link.index,
        address: one.address,
        flags: one.address.includes(":") && !detectDuplicates ? IFA_F.NODAD : 0,
      });
    setLink(nl, link.index, { up: true });
    options.beforeRoutes?.(nl, link, result);
    for (const route of result.routes) {
      const family = route.dst.includes(":") ? 6 : 4;
      // What is on the link needs nobody to be sent through.
      const isNear = route.scope !== undefined && route.scope >= RT_SCOPE_LINK;
      const usual = isNear
        ? undefined
        : result.ips.find(one => (one.address.includes(":") ? 6 : 4) === family)?.gateway;
      const { dst, gw: gateway = usual, priority: metric, mtu, advmss, table, scope } = route;
      addRouteBehind(nl, { dst, gateway, index: link.index, metric, mtu, advmss, table, scope });
    }
    return link.mac;
  });
}

const RT_SCOPE_LINK = 253;

/** What the kernel takes for no metric (ip-route(8)). */
const NO_METRIC = { 4: 0, 6: 1024 } as const;

/** Adds a route. Where another network of the container has the same, that one holds, and ours stands by for its end. */
export function addRouteBehind(nl: NetlinkSocket, route: NewRoute): void {
  let metric = route.metric ?? NO_METRIC[route.dst.includes(":") ? 6 : 4];
  for (;;) {
    try {
      addRoute(nl, { ...route, metric });
      return;
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
      metric++;
    }
  }
}
