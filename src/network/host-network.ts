/** What the host's own network looks like: the facts by which a user-mode network is planned. */
import { addresses } from "../netlink/address.ts";
import { links } from "../netlink/link.ts";
import { routes } from "../netlink/route.ts";
import { NetlinkSocket } from "../netlink/socket.ts";

export interface HostAddress {
  ip: string;
  prefix: number;
  /** `global`, `link`, `host`, … */
  scope: string;
}

export interface HostInterface {
  name: string;
  mac: string;
  addresses: HostAddress[];
}

export interface HostRoute {
  /** `0.0.0.0/0` and `::/0` for the default route. */
  dst: string;
  /** "" where the network is on the wire. */
  gateway: string;
  interface: string;
  metric: number;
}

export interface HostNetwork {
  interfaces: HostInterface[];
  /** Of the main table. */
  routes: HostRoute[];
}

const UNICAST = 1;

/** Reads the network namespace that the calling thread is in. */
export function readHostNetwork(): HostNetwork {
  using nl = new NetlinkSocket();
  const byIndex = new Map<number, HostInterface>();
  for (const { index, name, mac } of links(nl)) byIndex.set(index, { name, mac, addresses: [] });
  for (const { index, ip, prefix, scope } of addresses(nl))
    byIndex.get(index)?.addresses.push({ ip, prefix, scope });
  return {
    interfaces: [...byIndex.values()],
    routes: routes(nl)
      .filter(({ type }) => type === UNICAST)
      .map(({ dst, gateway, index, metric }) => ({
        dst,
        gateway,
        interface: byIndex.get(index)?.name ?? "",
        metric,
      })),
  };
}

const ANY = { 4: "0.0.0.0/0", 6: "::/0" } as const;

/** The default route that the kernel would take, by one interface if one is named. */
export function defaultRoute({ routes }: HostNetwork, family: 4 | 6, by?: string): HostRoute | undefined {
  return routes
    .filter(one => one.dst === ANY[family] && (by === undefined || one.interface === by))
    .sort((a, b) => a.metric - b.metric)[0];
}

/** An interface's address of a family by which others can reach it; undefined where it has none. */
export function globalAddress(
  { interfaces }: HostNetwork,
  name: string,
  family: 4 | 6,
): HostAddress | undefined {
  const own = interfaces.find(one => one.name === name)?.addresses ?? [];
  return own.find(({ ip, scope }) => scope === "global" && ip.includes(":") === (family === 6));
}

/** The address by which the host is known to others: of its default route's interface, else the first; "" for none. */
export function hostAddress(host: HostNetwork, family: 4 | 6): string {
  const names = [defaultRoute(host, family)?.interface ?? "", ...host.interfaces.map(({ name }) => name)];
  for (const name of names) {
    const found = globalAddress(host, name, family);
    if (found) return found.ip;
  }
  return "";
}
