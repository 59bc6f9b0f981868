/** What the kernel has in a network namespace: everything that decides where a packet goes there. Plain data. */
import { existsSync, readFileSync } from "node:fs";
import type { Element } from "../firewall/element.ts";
import { isClosed } from "../firewall/gate.ts";
import { Firewall } from "../firewall/transaction.ts";
import { addresses } from "../netlink/address.ts";
import { links } from "../netlink/link.ts";
import { routes } from "../netlink/route.ts";
import { NetlinkSocket } from "../netlink/socket.ts";
import { type ListeningSocket, parseListening } from "./listening.ts";

export interface ViewLink {
  index: number;
  name: string;
  /** `bridge`, `veth`, `tun`, …; "" for a physical one. */
  kind: string;
  up: boolean;
  loopback: boolean;
  /** Index of its bridge; 0 for none. */
  master: number;
  /** Index of a veth's other end, in its own namespace. */
  peerIndex: number;
}

export interface ViewAddress {
  /** Index of its link. */
  index: number;
  ip: string;
  prefix: number;
  /** `global`, `link`, `host`, … */
  scope: string;
}

export interface ViewRoute {
  /** `0.0.0.0/0` and `::/0` for the default route. */
  dst: string;
  /** "" where the network is on the wire. */
  gateway: string;
  /** Index of the link that it leaves by; 0 for none. */
  index: number;
  metric: number;
  /** Of the sender; "" where the route says nothing. */
  source: string;
  /** rtnetlink(7): 1 unicast, 6 blackhole, 7 unreachable, 8 prohibit. */
  type: number;
}

export interface FirewallView {
  /** Of our table's sets and maps. */
  elements: Element[];
  /** iptables' FORWARD drops what no rule of it accepts. */
  closed: { 4: boolean; 6: boolean };
}

export interface NamespaceView {
  links: ViewLink[];
  addresses: ViewAddress[];
  /** Of the main table. */
  routes: ViewRoute[];
  /** Packets that are for others are sent on. */
  forwarding: { 4: boolean; 6: boolean };
  listening: ListeningSocket[];
  /** Where it was asked for, and bridges of ours may be. */
  firewall?: FirewallView;
}

const SOCKETS = [
  ["tcp", "tcp"],
  ["tcp6", "tcp"],
  ["udp", "udp"],
  ["udp6", "udp"],
] as const;

const read = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : "");

/**
 * Reads the namespace that the calling thread is in; with `firewall` our table too, which takes root's rights there.
 */
export function readNamespaceView(options: { firewall: boolean }): NamespaceView {
  using nl = new NetlinkSocket();
  return {
    links: links(nl).map(({ index, name, kind, up, loopback, master, peerIndex }) => ({
      ...{ index, name, kind, up, loopback, master, peerIndex },
    })),
    addresses: addresses(nl).map(({ index, ip, prefix, scope }) => ({ index, ip, prefix, scope })),
    routes: routes(nl).map(({ dst, gateway, index, metric, source, type }) => ({
      ...{ dst, gateway, index, metric, source, type },
    })),
    // Below /proc/sys/net everybody finds the settings of the namespace that he is in.
    forwarding: {
      4: read("/proc/sys/net/ipv4/ip_forward").trim() === "1",
      6: read("/proc/sys/net/ipv6/conf/all/forwarding").trim() === "1",
    },
    listening: SOCKETS.flatMap(([file, protocol]) =>
      parseListening(read(`/proc/thread-self/net/${file}`), protocol),
    ),
    ...(options.firewall ? { firewall: readFirewall() } : {}),
  };
}

function readFirewall(): FirewallView {
  const firewall = new Firewall();
  return {
    elements: firewall.elements(),
    closed: { 4: isClosed(firewall, 4), 6: isClosed(firewall, 6) },
  };
}
