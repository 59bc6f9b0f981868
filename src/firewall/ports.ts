/**
 * Published ports: which elements a mapping takes, and who has a port already.
 *
 * What `-p` says, for one address of a container: a single port is one element, and so is a range whose ports keep
 * their numbers; a shifted range is one element a port (nftables has no "plus an offset").
 */
import { UserError } from "../base/errors.ts";
import { concat, type Element, type Field, fieldsOf, ports, prefix } from "./element.ts";
import { PORT_MAPS, type PortMap } from "./layout.ts";
import { listElements } from "./transaction.ts";

export type Protocol = "tcp" | "udp" | "sctp";

/** IANA's numbers: libnftables looks a name up in /etc/protocols each time, which a slim host may not have. */
export const PROTOCOL_NUMBER: Record<Protocol, number> = { tcp: 6, udp: 17, sctp: 132 };
const protocolName = (number: unknown) =>
  Object.entries(PROTOCOL_NUMBER).find(([, value]) => value === number)?.[0] ?? String(number);

/** `count` ports of the host from `hostPort` on, sent to as many of the container from `containerPort` on. */
export interface PublishedPort {
  protocol: Protocol;
  hostPort: number;
  containerPort: number;
  count: number;
  /** The host's addresses of one family, or one of them; absent for every address of both families. */
  host?: { version: 4 | 6; address?: string };
}

/** An address of a container and the network that it shares with its neighbours. */
export interface ContainerAddress {
  version: 4 | 6;
  address: string;
  network: { address: string; length: number };
}

const isShifted = (port: PublishedPort) => port.count > 1 && port.hostPort !== port.containerPort;

/** Keys of a mapping in the maps of one address family, and the port in the container where it is another. */
function keysOf(
  port: PublishedPort,
  version: 4 | 6,
): { set: PortMap; key: Field[]; containerPort?: number }[] {
  const address: Field[] = port.host?.address ? [port.host.address] : [];
  const kind = port.host?.address ? "addr_" : "";
  const protocol = PROTOCOL_NUMBER[port.protocol];
  const last = port.hostPort + port.count - 1;
  if (port.count > 1 && !isShifted(port))
    return [{ set: `${kind}range${version}`, key: [...address, protocol, ports(port.hostPort, last)] }];
  return Array.from({ length: port.count }, (_, index) => ({
    set: `${kind}port${version}` as const,
    key: [...address, protocol, port.hostPort + index],
    containerPort: port.containerPort + index,
  }));
}

const servesFamily = (port: PublishedPort, version: 4 | 6) =>
  port.host === undefined || port.host.version === version;

/** The elements that publish `list` for one address of a container. */
export function publish(owner: string, target: ContainerAddress, list: readonly PublishedPort[]): Element[] {
  const { version, address, network } = target;
  const served = list.filter(port => servesFamily(port, version));
  if (served.length === 0) return [];
  const elements: Element[] = served.flatMap(port =>
    keysOf(port, version).map(({ set, key, containerPort }) => ({
      set,
      key: concat(...key),
      data: containerPort === undefined ? address : concat(address, containerPort),
      owner,
    })),
  );
  const hairpin = (source: Field): Element => ({
    set: `hairpin${version}`,
    key: concat(source, address),
    owner,
  });
  elements.push(hairpin(prefix(network.address, network.length)));
  if (version === 4) elements.push(hairpin(prefix("127.0.0.0", 8)));
  return elements;
}

/** First and last port of a port map's key. */
function portsOf(element: Element): [number, number] {
  const field = fieldsOf(element.key).at(-1)!;
  return typeof field === "object" && "range" in field ? field.range : [Number(field), Number(field)];
}

/** True when two keys of port maps of one family have a port in common, on a common address. */
export function overlaps(one: Element, other: Element): boolean {
  const [a, b] = [fieldsOf(one.key), fieldsOf(other.key)];
  const [first, last] = portsOf(one);
  const [otherFirst, otherLast] = portsOf(other);
  const sameAddress = a.length < 3 || b.length < 3 || a[0] === b[0];
  return (
    one.set.at(-1) === other.set.at(-1) &&
    sameAddress &&
    a.at(-2) === b.at(-2) &&
    first <= otherLast &&
    otherFirst <= last
  );
}

/** The refusal of a port of `one` that `other` has. */
export function portTaken(one: Element, other: Element): UserError {
  const [from, to] = [
    Math.max(portsOf(one)[0], portsOf(other)[0]),
    Math.min(portsOf(one)[1], portsOf(other)[1]),
  ];
  const protocol = protocolName(fieldsOf(one.key).at(-2));
  return new UserError(
    `${from === to ? `port ${from}/${protocol} is` : `ports ${from}-${to}/${protocol} are`} already published by container ${other.owner.split(":")[0]!.slice(0, 12)}`,
  );
}

/**
 * The refusal of the first of `list` that another attachment has in the kernel's maps; undefined when all are free.
 * `owner` is the attachment that asks: what is its own is free to it.
 */
export function findConflict(list: readonly PublishedPort[], owner = ""): UserError | undefined {
  if (list.length === 0) return undefined;
  const others = listElements(PORT_MAPS).filter(element => element.owner !== owner);
  for (const port of list)
    for (const version of [4, 6] as const) {
      if (!servesFamily(port, version)) continue;
      for (const { set, key } of keysOf(port, version)) {
        const one: Element = { set, key: concat(...key), owner };
        const other = others.find(candidate => overlaps(one, candidate));
        if (other) return portTaken(one, other);
      }
    }
  return undefined;
}
