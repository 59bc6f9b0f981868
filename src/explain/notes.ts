/** What else helps to know: how to call it, names, who holds a port. Pure. */
import { reloadIt } from "./advice.ts";
import type { Answer } from "./explain.ts";
import type { ContainerFacts, Query } from "./facts.ts";
import { processOf } from "./listeners.ts";
import { isAny, type World } from "./world.ts";

export function notesOn(world: World, query: Query, answer: Answer): string[] {
  const { from, to, port } = query;
  const target = to.kind === "container" ? world.container(to.id) : undefined;
  if (!target) return [];
  const caller = from.kind === "container" ? world.container(from.id) : undefined;
  const notes: string[] = [];
  if (target.sharedWith && target.up) notes.push(`${target.name} uses the network of ${target.sharedWith}`);
  if (caller && caller.place === target.place && caller.id !== target.id && target.up) {
    notes.push(
      target.place === "host"
        ? "both have the host's network: they are one localhost"
        : `${caller.name} and ${target.name} share one network: they are one localhost`,
    );
    return notes;
  }
  if (answer.reached) notes.push(...use(target, answer));
  if (caller && !answer.candidate?.published) notes.push(...names(world, caller, target));
  if (answer.reached && port === undefined && !answer.candidate?.published)
    notes.push(...open(world, target));
  return notes;
}

function use({ name }: ContainerFacts, { candidate, address }: Answer): string[] {
  const published = candidate?.published;
  if (!published) return address ? [`use ${address}`] : [];
  const inner = published.containerPort + candidate.port! - published.hostPort;
  return [`${name} publishes ${inner} on the host; use ${address}`];
}

/** By which name the caller may call. */
function names(world: World, caller: ContainerFacts, target: ContainerFacts): string[] {
  const [one, other] = [caller, target].map(one => world.ownerOf(one.place));
  if (!one || !other) return [];
  const common = other.attachments
    .map(({ network }) => network)
    .filter(network => one.attachments.some(mine => mine.network === network));
  return common.flatMap(network => {
    const known = world.facts.networks.find(({ name }) => name === network);
    if (!known?.dns) return [`network ${network} knows no names: use the address`];
    const told = world.facts.service.names.find(
      order => order.network === network && order.container === other.id,
    );
    return told
      ? [`${other.name} is known by name on network ${network}`]
      : [`${other.name}'s name is lost on network ${network}: ${reloadIt(other)}`];
  });
}

function open(world: World, target: ContainerFacts): string[] {
  const view = world.find(target.place);
  if (!view || target.place === "host") return [];
  const ports = view.listening.filter(({ protocol, ip }) => protocol === "tcp" || isAny(ip));
  const texts = [...new Set(ports.map(one => `${one.port}/${one.protocol}`))];
  return texts.length > 0
    ? [`${target.name} listens on ${texts.join(", ")}`]
    : [`nothing listens in ${target.name}`];
}

/** Who has the ports of the host that a container wants when it starts. */
export function portHolders(world: World, { ports, mode }: ContainerFacts): string[] {
  if (mode !== "bridge" && mode !== "slirp4netns" && mode !== "pasta") return [];
  const host = world.find("host");
  return ports.flatMap(({ hostIp, hostPort, range, protocol }) => {
    const holder = host?.listening.find(
      one =>
        one.protocol === protocol &&
        one.port >= hostPort &&
        one.port < hostPort + range &&
        (hostIp === "" || isAny(hostIp) || isAny(one.ip) || one.ip === hostIp),
    );
    return holder && hostPort !== 0
      ? [`port ${holder.port} of the host is held by somebody else: ${processOf(world, holder)}`]
      : [];
  });
}
