/** What one end's network is, and by what it can be reached from the host, from other containers, from outside. Pure. */
import { attempt, explainPath } from "./explain.ts";
import { type ContainerFacts, type Facts, type Party, Unseen } from "./facts.ts";
import { processOf } from "./listeners.ts";
import { globalAddresses, isAny, isDefault, linkOf, World, withPort } from "./world.ts";

/** From where it is reached, or why not. */
export interface Reach {
  reached: boolean;
  /** Addresses to use. */
  addresses: string[];
  /** Why it is not reached; "" where it is. */
  reason: string;
  advice: string[];
}

export interface Description {
  name: string;
  status: string;
  /** One line: mode and networks. */
  network: string;
  addresses: { link: string; address: string }[];
  listening: { protocol: string; address: string; port: number; process: string }[];
  /** By which names, on which networks. */
  names: { network: string; names: string[] }[];
  published: { host: string; container: string }[];
  from_host: Reach;
  from_containers: string[];
  from_outside: Reach;
  to_internet: Reach;
}

export function describe(facts: Facts, id: string): Description | Unseen {
  return attempt(() => {
    const world = new World(facts);
    const container = world.container(id)!;
    const owner = world.ownerOf(container.place) ?? container;
    const party: Party = { kind: "container", id };
    const view = container.up ? world.find(container.place) : null;
    return {
      name: container.name,
      status: container.status,
      network: networkText(container, owner),
      addresses: view
        ? globalAddresses(view).map(one => ({
            link: linkOf(view, one.index)?.name ?? "",
            address: `${one.ip}/${one.prefix}`,
          }))
        : [],
      listening:
        view && container.place !== "host"
          ? view.listening
              .filter(one => one.protocol === "tcp" || isAny(one.ip))
              .map(one => ({
                protocol: one.protocol,
                address: one.ip,
                port: one.port,
                process: processOf(world, one),
              }))
          : [],
      names: facts.service.names
        .filter(one => one.container === owner.id)
        .map(({ network, names }) => ({ network, names })),
      published: owner.ports.map(publishedText),
      from_host: reach(facts, { kind: "host" }, party, owner),
      from_containers: container.up ? fromContainers(world, owner) : [],
      from_outside: reach(facts, { kind: "internet" }, party, owner),
      to_internet: reach(facts, party, { kind: "internet" }, owner),
    };
  });
}

function publishedText({
  hostIp,
  hostPort,
  containerPort,
  protocol,
  range,
}: ContainerFacts["ports"][number]) {
  const ports = (first: number) => (range > 1 ? `${first}-${first + range - 1}` : `${first}`);
  const host = hostIp.includes(":") ? `[${hostIp}]` : hostIp || "0.0.0.0";
  return { host: `${host}:${ports(hostPort)}`, container: `${ports(containerPort)}/${protocol}` };
}

function networkText({ mode, sharedWith, place }: ContainerFacts, owner: ContainerFacts): string {
  if (sharedWith) return `the network of ${sharedWith}`;
  switch (mode) {
    case "bridge":
      return owner.networks.length > 0 ? `bridge: ${owner.networks.join(", ")}` : "bridge: no network";
    case "host":
      return "host: the host's own network";
    case "none":
      return "none: nothing but a loopback";
    case "ns":
      return `ns: ${place.slice(3)}`;
    default:
      return `${mode}: a tap of its own, ${owner.userMode?.ifName ?? "made at its start"}`;
  }
}

/** The first way that gets there; with several published ports, one for each. */
function reach(facts: Facts, from: Party, to: Party, owner: ContainerFacts): Reach {
  const ports = owner.ports.flatMap(one => (one.protocol === "sctp" ? [] : [one]));
  const ask = (port?: number, protocol: "tcp" | "udp" = "tcp") => {
    const found = explainPath(facts, { from, to, protocol, ...(port === undefined ? {} : { port }) });
    if (found instanceof Unseen) throw found;
    return found;
  };
  const plain = ask();
  if (to.kind === "internet" || !owner.up)
    return {
      reached: plain.reached,
      addresses: [],
      reason: plain.reached ? "" : plain.verdict.text,
      advice: plain.verdict.advice,
    };
  const all = ports
    .map(one => ask(one.containerPort, one.protocol as "tcp" | "udp"))
    .filter(one => one.reached)
    .map(one => one.address);
  const reached = plain.reached || all.length > 0;
  // An address by which every port is reached needs no mention of one.
  const isOther = (address: string) =>
    !plain.reached || !address.startsWith(`${withPort(plain.address, 0).slice(0, -1)}`);
  return {
    reached,
    addresses: [...new Set([...(plain.reached ? [plain.address] : []), ...all.filter(isOther)])],
    reason: reached ? "" : plain.verdict.text,
    advice: reached ? [] : plain.verdict.advice,
  };
}

/** For callers on the same networks, and for all others. */
function fromContainers(world: World, owner: ContainerFacts): string[] {
  const near = owner.attachments.flatMap(({ network, ipv4, ipv6 }) => {
    const told = world.facts.service.names.some(one => one.network === network && one.container === owner.id);
    const address = [ipv4, ipv6].filter(Boolean).join(" or ");
    return address ? [`on ${network}: ${told ? `${owner.name}, ` : ""}${address}`] : [];
  });
  const host = world.find("host");
  const address = (host && globalAddresses(host)[0]?.ip) || "";
  const published = owner.ports.flatMap(({ hostIp, hostPort, containerPort, protocol }) =>
    hostIp.startsWith("127.")
      ? []
      : [
          `elsewhere: ${withPort(hostIp && !isAny(hostIp) ? hostIp : address, hostPort)} for ${containerPort}/${protocol}`,
        ],
  );
  return [...near, ...published];
}

/** The host itself. */
export interface HostDescription {
  name: "host";
  addresses: { link: string; address: string }[];
  default_routes: string[];
  forwarding: { ipv4: boolean; ipv6: boolean };
  bridges: { network: string; bridge: string; up: boolean }[];
}

export function describeHost(facts: Facts): HostDescription | Unseen {
  return attempt(() => {
    const world = new World(facts);
    const view = world.find("host")!;
    const home = facts.containers.some(one => one.up && one.attachments.length > 0)
      ? world.find(world.bridges)
      : view;
    return {
      name: "host" as const,
      addresses: globalAddresses(view).map(one => ({
        link: linkOf(view, one.index)?.name ?? "",
        address: `${one.ip}/${one.prefix}`,
      })),
      default_routes: view.routes
        .filter(isDefault)
        .map(one => [one.gateway, linkOf(view, one.index)?.name].filter(Boolean).join(" by ")),
      forwarding: { ipv4: view.forwarding[4], ipv6: view.forwarding[6] },
      bridges: facts.networks.flatMap(({ name, bridge }) => {
        const link = home?.links.find(one => one.name === bridge);
        return link ? [{ network: name, bridge, up: link.up }] : [];
      }),
    };
  });
}
