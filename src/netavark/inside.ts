/**
 * What netavark does besides what CNI's plugins do: routes with their metric, sysctls, the MTU that fits the host, the end
 * of a bridge.
 */
import { hasCode, UserError } from "../base/errors.ts";
import { holdGateway } from "../cni/plugins/gateway.ts";
import { sysctl } from "../cni/plugins/inside.ts";
import type { Result } from "../cni/types.ts";
import { dropLinkHere, dropTogether } from "../netlink/drop-link.ts";
import { linkByIndex, linkByName, links, setLink } from "../netlink/link.ts";
import { addRoute, type NewRoute, routes } from "../netlink/route.ts";
import { NetlinkSocket } from "../netlink/socket.ts";
import { bringLoopbackUp } from "../network/loopback.ts";
import { interfaceIndex } from "../sys/interface.ts";
import * as netns from "../sys/netns.ts";
import type { DriverOptions, GivenAddress } from "./driver.ts";
import type { Join, Network, Route } from "./input.ts";

const ANY = { 4: "0.0.0.0/0", 6: "::/0" } as const;
const NOWHERE = ["blackhole", "unreachable", "prohibit"] as const;

/** The MTU of the interface of the host's default route, for bridges that are told none; 0 where there is no route. */
export function usualMtu(): number {
  using nl = new NetlinkSocket();
  const way = routes(nl)
    .filter(({ dst, index }) => (dst === ANY[4] || dst === ANY[6]) && index > 0)
    .sort((a, b) => a.metric - b.metric)[0];
  return way ? (linkByIndex(nl, way.index)?.mtu ?? 0) : 0;
}

function routeOf({ destination: dst, gateway, metric, route_type: type = "unicast" }: Route): NewRoute {
  const nowhere = NOWHERE.find(one => one === type);
  if (type !== "unicast" && !nowhere) throw new UserError(`unknown route type ${JSON.stringify(type)}`);
  if (nowhere && gateway) throw new UserError(`a ${nowhere} route to ${dst} can't have a gateway`);
  if (!nowhere && !gateway) throw new UserError(`the route to ${dst} has no gateway`);
  return { dst, gateway, metric, type: nowhere };
}

/** The container's routes on one network: a default route for each gateway, and the network's own. */
export function routesOf(
  { network }: Join,
  options: DriverOptions,
  addresses: readonly GivenAddress[],
): NewRoute[] {
  const usual = ([4, 6] as const).flatMap((family): NewRoute[] => {
    const gateway = addresses.find(
      one => one.gateway && one.gateway.includes(":") === (family === 6),
    )?.gateway;
    return gateway && !network.internal && !options.noDefaultRoute ? [{ dst: ANY[family], gateway }] : [];
  });
  return [...usual, ...network.routes.map(routeOf)].map(route => ({
    ...route,
    metric: route.metric ?? options.metric,
    protocol: "static",
  }));
}

/**
 * A route that another network of the container has already with this metric stays the first. IPv6 would share packets out
 * among the two, so there the later gets the next metric.
 */
function addBehind(nl: NetlinkSocket, route: NewRoute): void {
  const six = route.dst.includes(":");
  for (let metric = route.metric ?? 0, append = false; ; )
    try {
      addRoute(nl, { ...route, metric, append });
      return;
    } catch (error) {
      if (append || !hasCode(error, "EEXIST")) throw error;
      if (six) metric++;
      else append = true;
    }
}

/** Brings `lo` up. Throws where an interface is there already: what is somebody else's is not to go when we fail. */
export function beginInside(path: string, interfaces: readonly string[]): void {
  netns.run(path, () => {
    const taken = interfaces.find(name => interfaceIndex(name) !== 0);
    if (taken) throw new UserError(`interface ${taken} already exists on container namespace`);
    bringLoopbackUp();
  });
}

/** Routes and sysctls in the container's namespace. */
export function finishInside(path: string, ifName: string, list: readonly NewRoute[]): void {
  netns.run(path, () => {
    sysctl(`ipv4/conf/${ifName}/rp_filter`, "2");
    sysctl(`ipv4/conf/${ifName}/arp_notify`, "1");
    sysctl(`ipv6/conf/${ifName}/autoconf`, "0");
    if (list.length === 0) return;
    using nl = new NetlinkSocket();
    const index = interfaceIndex(ifName);
    for (const route of list) addBehind(nl, route.type ? route : { ...route, index });
  });
}

/** The bridge of a managed network as netavark leaves it. */
export function finishBridge(
  network: Network,
  options: DriverOptions,
  result: Result,
  isGateway: boolean,
): void {
  const name = network.network_interface!;
  if (!isGateway || options.vrf) {
    using nl = new NetlinkSocket();
    const bridge = linkByName(nl, name)!;
    // Also where it is nobody's way out: the resolver of an internal network is there.
    if (!isGateway) holdGateway(nl, {}, bridge, result);
    if (options.vrf) joinVrf(nl, bridge.index, options.vrf);
  }
  sysctl(`ipv4/conf/${name}/rp_filter`, "2");
  if (network.internal) sysctl(`ipv4/conf/${name}/forwarding`, "0");
  else sysctl(`ipv4/conf/${name}/route_localnet`, "1");
  if (network.internal && network.ipv6_enabled) sysctl(`ipv6/conf/${name}/forwarding`, "0");
}

function joinVrf(nl: NetlinkSocket, bridge: number, name: string): void {
  const vrf = linkByName(nl, name);
  if (vrf?.kind !== "vrf") throw new UserError(`vrf ${name} of the network does not exist`);
  if (linkByIndex(nl, bridge)!.master !== vrf.index) setLink(nl, bridge, { master: vrf.index });
}

/** An unmanaged bridge is somebody else's: it has to be there. */
export function checkUnmanaged(name: string): void {
  using nl = new NetlinkSocket();
  const link = linkByName(nl, name);
  if (!link) throw new UserError(`bridge interface ${name} not found`, { hint: "mode=unmanaged makes none" });
  if (link.kind !== "bridge") throw new UserError(`interface ${name} is not a bridge`);
}

/** The host's end of the pair under the name that was asked for. */
export function renameHostEnd(from: string, to: string): void {
  using nl = new NetlinkSocket();
  const link = linkByName(nl, from)!;
  setLink(nl, link.index, { up: false });
  setLink(nl, link.index, { name: to });
  setLink(nl, link.index, { up: true });
}

/** Removes those of the bridges whose only port is the one named, and the port; in one go. Gives the bridges' names. */
export function removeWithBridges(pairs: readonly { bridge: string; port: string }[]): string[] {
  if (pairs.length === 0) return [];
  using nl = new NetlinkSocket();
  const all = links(nl);
  const going = pairs.flatMap(({ bridge: name, port }) => {
    const bridge = all.find(one => one.name === name && one.kind === "bridge");
    const ports = bridge ? all.filter(one => one.master === bridge.index) : [];
    return bridge && ports.length === 1 && ports[0]!.name === port ? [ports[0]!, bridge] : [];
  });
  if (going.length > 0) dropTogether(nl, going);
  return going.filter(one => one.kind === "bridge").map(one => one.name);
}

/** Removes the bridge with its last port. */
export function removeUnusedBridge(name: string): void {
  const index = interfaceIndex(name);
  if (index === 0) return;
  using nl = new NetlinkSocket();
  const bridge = linkByIndex(nl, index);
  if (bridge?.kind !== "bridge" || links(nl).some(one => one.master === bridge.index)) return;
  dropLinkHere(nl, bridge);
}
