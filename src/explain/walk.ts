/**
 * The way of a packet, step by step, through the namespaces that are known: what is addressed to one of them is published,
 * served or listened to there; what is not takes a route, and comes out at the other end of the link. Pure.
 */

import type { NamespaceView, ViewLink } from "../network/namespace-view.ts";
import { restartIt } from "./advice.ts";
import type { Hop, Place, Verdict } from "./facts.ts";
import { answerAt } from "./listeners.ts";
import { droppedBy, isHairpin, isMasqueraded, publishedAt } from "./rules.ts";
import { enterService, isTriedAgain, servedPort } from "./service.ts";
import { type Packet, type Stop, stop, Walker } from "./walker.ts";
import { wayBack } from "./way-back.ts";
import { nextPlace } from "./wire.ts";
import {
  familyOf,
  hasAddress,
  INTERNET,
  isInternet,
  isLoopback,
  linkOf,
  routeTo,
  type World,
  withPort,
} from "./world.ts";

export interface Walk {
  hops: Hop[];
  verdict: Verdict;
  /** Where it ends; "" for beyond what is known. */
  place: Place;
}

/** A step ends the way, or leads on; it changes the packet and adds to the hops. */
type Step = (walker: Walker) => Stop | undefined;

/** More steps than any way has. */
const MAX_STEPS = 24;

/** Sends a packet on its way. */
export function walk(world: World, packet: Packet): Walk {
  const walker = new Walker(world, { ...packet });
  for (let steps = 0; steps < MAX_STEPS; steps++) {
    const end = step(walker);
    if (end) return { hops: walker.hops, verdict: end.verdict, place: walker.packet.place };
  }
  const { verdict } = stop("loop", `the packet goes round in circles: ${packet.destination} is nowhere`);
  return { hops: walker.hops, verdict, place: walker.packet.place };
}

const step: Step = walker => {
  const { world, packet, view } = walker;
  const name = world.nameOf(packet.place);
  if (view === null) return stop("no-network", `${name} has no network: it does not run`);
  if (!isInternet(packet.destination) && hasAddress(view, packet.destination)) return deliver(walker, view);
  return send(walker, view);
};

/** It is for this namespace. */
function deliver(walker: Walker, view: NamespaceView): Stop | undefined {
  const { world, packet } = walker;
  const { place, destination, port, protocol } = packet;
  if (packet.arrivedBy === "") packet.source ||= destination;
  if (isLoopback(destination) && packet.arrivedBy !== "")
    return stop(
      "refused",
      `${destination} is ${world.nameOf(place)}'s own: it takes no caller from outside there`,
    );
  if (port !== undefined && view.firewall) {
    const target = publishedAt(view.firewall, destination, protocol, port);
    if (target) {
      walker.hop(place, `port ${port} is published: on to ${withPort(target.ip, target.port)}`);
      Object.assign(packet, { destination: target.ip, port: target.port, published: true });
      return undefined;
    }
  }
  if (
    port !== undefined &&
    view.firewall &&
    destination === "::1" &&
    publishedAt(view.firewall, "127.0.0.1", protocol, port)
  )
    return stop("refused", `port ${port} is published, but not at ::1`, "use 127.0.0.1");
  if (port !== undefined && place === "host") {
    const served = servedPort(walker, destination, port);
    if (served) return served === "onward" ? undefined : served;
  }
  const back = wayBack(walker, view);
  if (back) return back;
  const name = place === "home" ? "your network namespace" : world.nameOf(place);
  if (port === undefined) return stop("arrives", `the packet arrives in ${name} at ${destination}`);
  const verdict = answerAt(world, view, name, { ip: destination, port, protocol });
  return isTriedAgain(walker, verdict) ? undefined : { verdict };
}

/** It is for somebody else. */
function send(walker: Walker, view: NamespaceView): Stop | undefined {
  const { world, packet } = walker;
  const { place, destination } = packet;
  const name = world.nameOf(place);
  const family = destination === INTERNET[6] || destination.includes(":") ? 6 : 4;
  const route = routeTo(view, destination);
  if (!route) return noRoute(walker, view, name, family);
  if (route.type !== UNICAST) return stop("no-route", `a route of ${name} refuses packets to ${destination}`);
  const link = linkOf(view, route.index);
  if (!link) return stop("not-seen", `${name} sends it by several links: which one can't be told`);
  if (!link.up) return stop("link-down", `${linkText(link)} in ${name} is down`, ...linkAdvice(link, place));
  const own = view.addresses.filter(one => one.index === link.index && familyOf(one.ip) === family);
  const address = route.source || (own.find(one => one.scope === "global") ?? own[0])?.ip || "";
  if (packet.arrivedBy === "") packet.source ||= address;
  else {
    const refusal = forward(walker, view, link, family);
    if (refusal) return refusal;
  }
  if (view.firewall) translate(walker, view, address);
  const via = route.gateway ? ` by gateway ${route.gateway}` : "";
  walker.hop(place, `${linkText(link)}${packet.arrivedBy === "" && address ? ` (${address})` : ""}${via}`);
  return link.kind === "tun"
    ? enterService(walker, link)
    : nextPlace(walker, view, link, route.gateway || destination);
}

const UNICAST = 1;

function noRoute(walker: Walker, view: NamespaceView, name: string, family: 4 | 6): Stop {
  const { place, destination } = walker.packet;
  const owner = walker.world.ownerOf(place);
  const isAlone = !view.addresses.some(one => !isLoopback(one.ip) && one.scope === "global");
  if (owner?.mode === "none") return stop("no-network", `${name} has no network (--network none)`);
  // A link that goes down takes its routes along.
  const down = owner && view.links.find(one => !one.loopback && !one.up);
  if (down) return stop("link-down", `${linkText(down)} in ${name} is down`, restartIt(owner));
  const closed = owner?.networks.filter(one =>
    walker.world.facts.networks.some(network => network.name === one && network.internal),
  );
  const dst = family === 4 ? "0.0.0.0/0" : "::/0";
  if (closed?.length && !view.routes.some(one => one.dst === dst))
    return stop(
      "no-route",
      `no default route in ${name}: ${closed.join(" and ")} ${closed.length > 1 ? "are" : "is"} internal, no way out`,
      `portolan network connect NETWORK ${name} with a network that is not internal`,
    );
  if (isAlone) return stop("no-network", `${name} has no address but its loopback's`);
  const lacks = family === 6 && !view.addresses.some(one => familyOf(one.ip) === 6 && one.scope === "global");
  if (lacks) return stop("no-route", `${name} has no IPv6 address`, "use an IPv4 address");
  return stop(
    "no-route",
    view.routes.some(one => one.dst === dst)
      ? `${name} has no route to ${destination}`
      : `no default route in ${name}`,
  );
}

const linkText = (link: ViewLink) => (link.kind === "bridge" ? `bridge ${link.name}` : link.name);
const linkAdvice = (link: ViewLink, place: Place) =>
  place === "host" ? [`ip link set ${link.name} up`] : [];

/** It came in by another link: this namespace is its router. */
function forward(walker: Walker, view: NamespaceView, link: ViewLink, family: 4 | 6): Stop | undefined {
  const { world, packet } = walker;
  const name = world.nameOf(packet.place);
  if (!view.forwarding[family]) {
    const setting = family === 4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding";
    const what = family === 4 ? "ip_forward" : "forwarding of IPv6";
    return stop("not-forwarded", `${what} is off on ${name}`, `sysctl -w ${setting}=1`);
  }
  if (!view.firewall || isInternet(packet.destination)) return undefined;
  const { arrivedBy, source, destination } = packet;
  const passing = { in: arrivedBy, out: link.name, source, destination };
  const reason = droppedBy(view.firewall, passing, packet.published);
  if (reason === "isolated") {
    const called = (bridge: string) =>
      world.facts.networks.find(one => one.bridge === bridge)?.name ?? bridge;
    const [one, other] = [called(arrivedBy), called(link.name)];
    return one === other
      ? stop("isolated", `the containers on ${one} are isolated from each other`)
      : stop("isolated", `${one} and ${other} are isolated from each other`, "put both on one network");
  }
  return (
    reason &&
    stop(
      "firewall",
      `${name}'s firewall drops it: FORWARD has the policy DROP`,
      "portolan network reload --all",
    )
  );
}

/** The sender's address may become this namespace's own on the way out. */
function translate({ packet }: Walker, view: NamespaceView, address: string): void {
  const { source, destination, published } = packet;
  if (isInternet(source)) return;
  const hairpin = published && isHairpin(view.firewall!, source, destination);
  if (hairpin || isMasqueraded(view.firewall!, source, destination)) packet.source = address;
}
