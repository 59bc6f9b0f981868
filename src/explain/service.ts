/** The network service between the host and its taps, both ways: what comes out of a tap, and published ports. Pure. */

import type { ViewLink } from "../network/namespace-view.ts";
import { reloadIt, restartIt } from "./advice.ts";
import type { UserModeFacts, Verdict } from "./facts.ts";
import { type Stop, stop, type Walker } from "./walker.ts";
import { familyOf, INTERNET, isAny, isIn, isInternet, isLoopback, withPort } from "./world.ts";

const DNS_PORT = 53;
const SERVICE = "network service";

/** A packet comes out of a tap; it goes on as a connection of the service's own, from the host. */
export function enterService(walker: Walker, link: ViewLink): Stop | undefined {
  const { world, packet } = walker;
  const { place } = packet;
  const name = world.nameOf(place);
  const owner = world.ownerOf(place);
  const network = place === "home" ? world.facts.home : owner?.userMode;
  if (!network)
    return stop("not-seen", `${link.name} in ${name} is somebody else's: what is behind it can't be seen`);
  if (!world.facts.service.taps.includes(place))
    return stop(
      "not-served",
      `the network service does not serve ${link.name} of ${name}`,
      owner ? reloadIt(owner) : "portolan network reload --all",
    );
  return onward(walker, network, name);
}

function onward(walker: Walker, { settings }: UserModeFacts, name: string): Stop | undefined {
  const { packet } = walker;
  const { destination, port, protocol } = packet;
  const { ipv4, ipv6, shared, hostLoopback, aliases = [], without = [] } = settings;
  const six = destination === INTERNET[6] || familyOf(destination) === 6;
  if (without.includes(protocol) && port !== undefined)
    return stop(
      "refused",
      `the network service passes no ${protocol.toUpperCase()} of ${name}: so it was started`,
    );
  const half = six ? ipv6 : ipv4;
  if (port === DNS_PORT && settings.dns && half?.dns === destination)
    return stop("listens", `the network service answers names at ${destination}`);
  const alias = aliases.find(one => one.address === destination)?.to;
  const loopback = six ? "::1" : "127.0.0.1";
  let target = destination;
  if (alias !== undefined) target = alias === "loopback" ? loopback : alias;
  else if (half?.gateway === destination && hostLoopback) target = loopback;
  else if (half?.gateway === destination && !shared)
    return stop(
      "host-closed",
      `${destination} is the gateway of ${name}, which does not lead to the host's loopback`,
      "call the host by its address",
      ...(packet.place === "home" ? [] : ["or start it with --network slirp4netns:allow_host_loopback=true"]),
    );
  else if (
    !shared &&
    half &&
    !isInternet(destination) &&
    isIn("subnet" in half ? half.subnet : half.prefix, destination)
  )
    return stop("nobody-there", `nobody has the address ${destination} on the network of ${name}`);
  walker.hop(
    SERVICE,
    target === destination
      ? "sends it on from the host"
      : `sends it on from the host, to ${withPort(target, port)}`,
  );
  Object.assign(packet, { place: "host", destination: target, source: "", arrivedBy: "", published: false });
  packet.otherwise = undefined;
  return undefined;
}

/**
 * A port of the host that the service serves: the packet comes out of a tap, the caller's address kept. Undefined where it
 * serves no such port.
 */
export function servedPort(walker: Walker, destination: string, port: number): Stop | "onward" | undefined {
  const { world, packet } = walker;
  const order = world.facts.service.ports.find(
    ({ settings: { proto, hostAddr, hostPort, count } }) =>
      proto === packet.protocol &&
      port >= hostPort &&
      port < hostPort + count &&
      (hostAddr === destination || (isAny(hostAddr) && familyOf(hostAddr) === familyOf(destination))),
  );
  if (!order) return undefined;
  const { settings, tap } = order;
  const inner = settings.guestPort + port - settings.hostPort;
  const network = tap === "home" ? world.facts.home : world.container(tap)?.userMode;
  const view = world.find(tap);
  const name = world.nameOf(tap);
  if (!network || view === null)
    return stop("no-network", `port ${port} leads to ${name}, whose network is gone`);
  const link = view.links.find(one => one.name === network.ifName);
  if (!link?.up)
    return stop(
      "link-down",
      `${network.ifName} in ${name} is ${link ? "down" : "gone"}`,
      ...(tap === "home" ? [] : [restartIt(world.container(tap)!)]),
    );
  walker.hop(
    SERVICE,
    `port ${port} is published: on to ${name} by its ${network.ifName}, ${withPort(settings.guestAddr, inner)}`,
  );
  // Callers that the guest could not answer, or is itself, come from the gateway.
  const own = isLoopback(packet.source) || packet.source === settings.guestAddr;
  const gatewayFor = (ip: string) =>
    (familyOf(ip) === 6 ? network.settings.ipv6 : network.settings.ipv4)?.gateway ?? "";
  const keeps = !own && packet.source !== "";
  const { guestAddr, otherwise } = settings;
  const { protocol } = packet;
  const inside = { place: tap, port: inner, protocol, arrivedBy: network.ifName, published: false };
  Object.assign(packet, {
    ...inside,
    destination: guestAddr,
    source: keeps ? packet.source : gatewayFor(guestAddr),
    // A caller of the other family can't keep its address there.
    otherwise:
      otherwise !== undefined && protocol === "tcp"
        ? { ...inside, destination: otherwise, source: gatewayFor(otherwise) }
        : undefined,
  });
  return "onward";
}

/** What the kernel answers with a reset. */
const REFUSALS: readonly string[] = ["no-listener", "narrow-listener", "other-protocol"];

/** Whom the container refuses, the service leads to its other address, once. */
export function isTriedAgain(walker: Walker, { code }: Verdict): boolean {
  const { packet } = walker;
  const { otherwise } = packet;
  if (otherwise === undefined || !REFUSALS.includes(code)) return false;
  walker.hop(SERVICE, `refused there: on to ${withPort(otherwise.destination, otherwise.port)}`);
  Object.assign(packet, { ...otherwise, otherwise: undefined });
  return true;
}
