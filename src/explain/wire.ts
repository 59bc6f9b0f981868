/** What is at the other end of a link: the bridge that a container hangs on, the containers that hang on a bridge, the world. Pure. */

import type { NamespaceView, ViewLink } from "../network/namespace-view.ts";
import { reloadIt, restartIt, startIt } from "./advice.ts";
import type { AttachmentFacts, ContainerFacts } from "./facts.ts";
import { type Stop, stop, type Walker } from "./walker.ts";

/** `next`: who is addressed on the link. */
export function nextPlace(
  walker: Walker,
  view: NamespaceView,
  link: ViewLink,
  next: string,
): Stop | undefined {
  const { world, packet } = walker;
  if (packet.place === world.bridges && isBridge(walker, link)) return ontoBridge(walker, view, link, next);
  const line = packet.place === world.bridges ? lineOf(walker, link) : undefined;
  if (line) return downLine(walker, line, link, next);
  const owner = world.ownerOf(packet.place);
  const attachment = owner?.attachments.find(one => one.ifName === link.name);
  if (owner && attachment) return fromContainer(walker, owner, attachment, link, next);
  return leave(walker, view, link);
}

/** A network's bridge, or one that containers are on whose network has another bridge by now. */
const isBridge = ({ world: { facts } }: Walker, { name, kind }: ViewLink) =>
  facts.networks.some(one => one.bridge === name && one.driver === "bridge") ||
  (kind === "bridge" &&
    facts.containers.some(({ attachments }) => attachments.some(one => one.bridge === name)));

/** Down to the container with that address. */
function ontoBridge(walker: Walker, view: NamespaceView, bridge: ViewLink, next: string): Stop | undefined {
  const { world, packet } = walker;
  const target = world.atAddress(next);
  const attachment = target?.attachments.find(one => one.ipv4 === next || one.ipv6 === next);
  if (target && attachment?.bridge !== bridge.name && view.links.some(one => one.name === attachment?.bridge))
    return stop(
      "nobody-there",
      `${target.name} is on bridge ${attachment!.bridge}, and ${bridge.name} has a route to the same subnet that goes before`,
      `remove ${bridge.name} once nobody is on it, or give one of the two another subnet`,
    );
  if (!target || attachment?.bridge !== bridge.name)
    return stop("nobody-there", `nobody has the address ${next} on bridge ${bridge.name}`);
  const inside = world.find(target.place);
  if (!target.up || inside === null)
    return stop("not-running", `${target.name} is not running`, startIt(target));
  const bad = badCable(view, bridge, inside, attachment, target);
  if (bad) return bad;
  Object.assign(packet, { place: target.place, arrivedBy: attachment.ifName });
  return undefined;
}

/** A container's interface, its host's end and the bridge: all there, up and joined. */
function badCable(
  view: NamespaceView,
  bridge: ViewLink,
  inside: NamespaceView,
  { ifName }: AttachmentFacts,
  container: ContainerFacts,
): Stop | undefined {
  const { name } = container;
  const restart = restartIt(container);
  const own = inside.links.find(one => one.name === ifName);
  if (!own) return stop("not-attached", `${name} has no ${ifName} any more`, restart);
  if (!own.up) return stop("link-down", `${ifName} in ${name} is down`, restart);
  const other = view.links.find(one => one.index === own.peerIndex && one.kind === "veth");
  if (own.kind !== "veth") return undefined;
  if (other?.master !== bridge.index)
    return stop("not-attached", `${name}'s ${ifName} is not on bridge ${bridge.name} any more`, restart);
  return other.up ? undefined : endIsDown(container, other);
}

const endIsDown = ({ name }: ContainerFacts, end: ViewLink): Stop =>
  stop(
    "link-down",
    `${end.name}, ${name}'s end of the cable on the host, is down`,
    `ip link set ${end.name} up`,
  );

/** From a container to its bridge, and from there up to the namespace that it is in, or across to a neighbour. */
function fromContainer(
  walker: Walker,
  owner: ContainerFacts,
  attachment: AttachmentFacts,
  link: ViewLink,
  next: string,
): Stop | undefined {
  const { world, packet } = walker;
  const network = world.facts.networks.find(one => one.name === attachment.network);
  const neighbour = world.facts.containers.find(one =>
    one.attachments.some(
      ({ network: name, ipv4, ipv6 }) => name === attachment.network && (ipv4 === next || ipv6 === next),
    ),
  );
  if (network?.driver === LINE) return upLine(walker, owner, attachment);
  if (link.kind !== "veth" || !attachment.bridge) return fromMacvlan(walker, owner, neighbour, next);
  const bridges = world.find(world.bridges);
  const bridge = bridges?.links.find(one => one.name === attachment.bridge);
  if (!bridges || !bridge)
    return stop("not-attached", `bridge ${attachment.bridge} is gone`, restartIt(owner));
  if (!bridge.up)
    return stop(
      "link-down",
      `bridge ${bridge.name} is down`,
      ...(world.bridges === "host" ? [`ip link set ${bridge.name} up`] : [restartIt(owner)]),
    );
  const bad = badCable(bridges, bridge, world.find(packet.place)!, attachment, owner);
  if (bad) return bad;
  walker.hop(world.bridges, `bridge ${bridge.name}, network ${attachment.network}`);
  if (bridges.addresses.some(one => one.index === bridge.index && one.ip === next)) {
    Object.assign(packet, { place: world.bridges, arrivedBy: bridge.name });
    return undefined;
  }
  if (neighbour) return ontoBridge(walker, bridges, bridge, next);
  return stop(
    "nobody-there",
    `nobody has the address ${next} on network ${attachment.network}${network ? "" : ", which is not there any more"}`,
  );
}

/** The driver of networks that have a line to the host for each container, and no bridge. */
const LINE = "ptp";

interface Line {
  container: ContainerFacts;
  attachment: AttachmentFacts;
}

/** Whose line's end on the host a link is. */
function lineOf({ world }: Walker, link: ViewLink): Line | undefined {
  if (link.kind !== "veth") return undefined;
  const isLine = ({ network, bridge }: AttachmentFacts) =>
    bridge === link.name && world.facts.networks.some(one => one.name === network && one.driver === LINE);
  for (const container of world.facts.containers) {
    const attachment = container.attachments.find(isLine);
    if (attachment) return { container, attachment };
  }
  return undefined;
}

/** From a container to the host, whoever is addressed: it has no other neighbour. */
function upLine(
  walker: Walker,
  owner: ContainerFacts,
  { ifName, network }: AttachmentFacts,
): Stop | undefined {
  const { world, packet } = walker;
  const own = world.find(packet.place)?.links.find(one => one.name === ifName);
  const end = world
    .find(world.bridges)
    ?.links.find(one => one.index === own?.peerIndex && one.kind === "veth");
  if (!end)
    return stop(
      "not-attached",
      `${owner.name}'s ${ifName} does not lead to the host any more`,
      restartIt(owner),
    );
  if (!end.up) return endIsDown(owner, end);
  walker.hop(world.bridges, `${end.name}, network ${network}`);
  Object.assign(packet, { place: world.bridges, arrivedBy: end.name });
  return undefined;
}

function downLine(
  { world, packet }: Walker,
  { container, attachment }: Line,
  end: ViewLink,
  next: string,
): Stop | undefined {
  const { name, place } = container;
  const { ifName, ipv4, ipv6 } = attachment;
  if (next !== ipv4 && next !== ipv6)
    return stop("nobody-there", `nobody has the address ${next} at the other end of ${end.name}`);
  const inside = world.find(place);
  if (!container.up || inside === null)
    return stop("not-running", `${name} is not running`, startIt(container));
  const own = inside.links.find(one => one.name === ifName);
  if (!own) return stop("not-attached", `${name} has no ${ifName} any more`, restartIt(container));
  if (!own.up) return stop("link-down", `${ifName} in ${name} is down`, restartIt(container));
  Object.assign(packet, { place, arrivedBy: ifName });
  return undefined;
}

/** A macvlan hangs on a link of the host, whose own addresses it can't reach. */
function fromMacvlan(
  walker: Walker,
  owner: ContainerFacts,
  neighbour: ContainerFacts | undefined,
  next: string,
): Stop | undefined {
  const { world, packet } = walker;
  const target = neighbour?.attachments.find(one => one.ipv4 === next || one.ipv6 === next);
  if (neighbour && target) {
    if (!neighbour.up) return stop("not-running", `${neighbour.name} is not running`, startIt(neighbour));
    Object.assign(packet, { place: neighbour.place, arrivedBy: target.ifName });
    return undefined;
  }
  if (world.find("host")?.addresses.some(one => one.ip === packet.destination))
    return stop("host-closed", `${owner.name} is on a macvlan: it and its own host don't reach each other`);
  packet.place = "";
  return stop("leaves", `the packet leaves the host; what is beyond can't be seen from here`);
}

/** Out of the machine. */
function leave(walker: Walker, view: NamespaceView, link: ViewLink): Stop {
  const { world, packet } = walker;
  const { source, place } = packet;
  const sender = world.atAddress(source);
  if (sender && view.firewall && packet.arrivedBy !== "")
    return stop(
      "not-masqueraded",
      `nothing masquerades ${source}: answers don't find back to ${sender.name}`,
      reloadIt(sender),
    );
  const where = place === "host" ? "the host" : world.nameOf(place);
  packet.place = "";
  return stop("leaves", `the packet leaves ${where} by ${link.name}; what is beyond can't be seen from here`);
}
