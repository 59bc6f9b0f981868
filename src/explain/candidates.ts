/** The addresses by which one end may call the other, the nearest first. Pure. */
import type { ContainerFacts, Party, Place, PortFacts, Query } from "./facts.ts";
import { familyOf, globalAddresses, INTERNET, isLoopback, type World } from "./world.ts";

export interface Candidate {
  ip: string;
  port?: number | undefined;
  /** A published port of the host. */
  published?: PortFacts;
  /** The network that both are on. */
  network?: string;
  /** Its own loopback. */
  shared?: boolean;
}

/** Where the caller's packets begin; the world's come in by the host. */
export function placeOf(world: World, party: Party): Place {
  return party.kind === "container" ? (world.container(party.id)?.place ?? "host") : "host";
}

const bothOf = ({ ipv4, ipv6 }: { ipv4: string; ipv6: string }) => [ipv4, ipv6].filter(Boolean);

/** Container ports of a mapping that fit what is asked for; every first one where nothing is asked. */
function innerPort({ containerPort, protocol, range }: PortFacts, query: Query): number | undefined {
  if (query.port === undefined) return containerPort;
  const fits =
    protocol === query.protocol && query.port >= containerPort && query.port < containerPort + range;
  return fits ? query.port : undefined;
}

/** The published ports of a container that fit what is asked for. */
export function publishedOf(
  { ports }: ContainerFacts,
  query: Query,
): { mapping: PortFacts; hostPort: number }[] {
  return ports.flatMap(mapping => {
    const inner = innerPort(mapping, query);
    return inner === undefined || mapping.protocol === "sctp"
      ? []
      : [{ mapping, hostPort: mapping.hostPort + inner - mapping.containerPort }];
  });
}

/** How the caller calls the host. */
export function hostAddresses(world: World, from: Party): string[] {
  const host = world.find("host");
  const own = host ? globalAddresses(host) : [];
  // Bridges of ours are the host's too, and nobody's first thought.
  const bridges = new Set(world.facts.networks.map(one => one.bridge).filter(Boolean));
  const isBridge = (index: number) => bridges.has(host?.links.find(one => one.index === index)?.name ?? "");
  const outer = [...own]
    .sort((a, b) => Number(isBridge(a.index)) - Number(isBridge(b.index)) || familyOf(a.ip) - familyOf(b.ip))
    .map(one => one.ip);
  if (from.kind === "internet")
    return outer.filter(ip => !own.some(one => one.ip === ip && isBridge(one.index)));
  if (from.kind === "host") return ["127.0.0.1", ...outer, "::1"];
  if (from.kind !== "container") return outer;
  const container = world.container(from.id);
  const owner = container && (world.ownerOf(container.place) ?? container);
  if (container?.place === "host") return ["127.0.0.1", ...outer, "::1"];
  const network = owner?.userMode ?? (world.facts.rootless ? world.facts.home : undefined);
  if (!network) return outer;
  const { hostLoopback, ipv4, aliases = [] } = network.settings;
  const loopbacks = [
    ...(hostLoopback ? [ipv4.gateway] : []),
    ...aliases.filter(one => one.to === "loopback").map(one => one.address),
  ];
  // The container may have the host's own addresses, which are itself there.
  const reachable = outer.filter(ip => !bothOf(network.guest).includes(ip));
  return [...new Set([network.hostAddress, ...reachable, ...loopbacks].filter(Boolean))];
}

/** Addresses of the host at which a mapping's port is there for the caller. */
function publishedAddresses(world: World, from: Party, { hostIp }: PortFacts): string[] {
  const addresses = hostAddresses(world, from);
  if (hostIp === "" || hostIp === "0.0.0.0" || hostIp === "::") {
    const fits = (ip: string) => hostIp === "" || familyOf(ip) === familyOf(hostIp);
    return addresses.filter(fits);
  }
  return isLoopback(hostIp) && from.kind === "container" ? addresses : [hostIp];
}

/** Containers: by a network of both, by another bridge, by published ports. */
function ofContainer(world: World, query: Query, target: ContainerFacts): Candidate[] {
  const { from, port } = query;
  const start = placeOf(world, from);
  const isInside = from.kind !== "internet";
  if (isInside && start === target.place)
    return [
      { ip: "127.0.0.1", port, shared: true },
      { ip: "::1", port, shared: true },
    ];
  const owner = world.ownerOf(target.place) ?? target;
  if (target.place === "host") return hostAddresses(world, from).map(ip => ({ ip, port }));
  const caller = from.kind === "container" ? world.ownerOf(start) : undefined;
  const common = (network: string) => caller?.attachments.some(one => one.network === network) ?? false;
  const routed = start === world.bridges || (caller !== undefined && caller.attachments.length > 0);
  const direct: Candidate[] = [];
  for (const attachment of owner.attachments) {
    const { network } = attachment;
    if (common(network)) direct.push(...bothOf(attachment).map(ip => ({ ip, port, network })));
  }
  if (routed && isInside)
    for (const attachment of owner.attachments)
      if (!common(attachment.network)) direct.push(...bothOf(attachment).map(ip => ({ ip, port })));
  const published = publishedOf(owner, query).flatMap(({ mapping, hostPort }) =>
    publishedAddresses(world, from, mapping).map(ip => ({ ip, port: hostPort, published: mapping })),
  );
  return [...direct, ...published];
}

export function candidates(world: World, query: Query): Candidate[] {
  const { to, port } = query;
  switch (to.kind) {
    case "host":
      return hostAddresses(world, query.from).map(ip => ({ ip, port }));
    case "internet":
      return [
        { ip: INTERNET[4], port },
        { ip: INTERNET[6], port },
      ];
    case "address":
      return to.addresses.map(ip => ({ ip, port }));
    case "container": {
      const target = world.container(to.id);
      return target ? ofContainer(world, query, target) : [];
    }
  }
}
