/**
 * What commands and the network service say to each other, one JSON object to a packet of a SOCK_SEQPACKET connection, with
 * descriptors beside it (SCM_RIGHTS). Every request is answered by an object with its number; a list may take several.
 */
import { oneLine } from "../base/errors.ts";
import { SERVICES, type Service } from "../stack/config.ts";
import { parseCidr, parseIP, parseMac } from "../wire/addr.ts";
import type { KeyedOrder, NameSettings, PortSettings, ResolverSettings, TapSettings } from "./control.ts";

export type ServiceRequest =
  /** Asks nothing but for an answer. */
  | { op: "hello" }
  /** In place of an order of that key, if there is one. */
  | KeyedOrder
  | { op: "remove"; key: string }
  | { op: "list" };

export interface ServiceAnswer {
  /** Of the request; 0 in what is said to a connection that is refused. */
  seq: number;
  error?: string;
  orders?: KeyedOrder[];
  /** More orders of the same list are in the next packet. */
  more?: true;
}

/** Orders in a packet of a list; a packet may be far longer than a request. */
export const ORDERS_PER_PACKET = 8;
const MAX_TEXT = 256;
/** Bytes of an IP packet that the stack takes (RFC 791: 576 at least). */
const MTU = { least: 576, most: 65_520 };

/** Throws what is wrong with it, in a few words. */
export function parseServiceRequest(data: Uint8Array): { seq: number; request: ServiceRequest } {
  const message = record(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data)), "a request");
  const parsed = parse(message);
  // A command of a later version may mean something by what is not known here.
  refuseUnknown(message, { ...parsed.request, seq: parsed.seq });
  return parsed;
}

function refuseUnknown(said: object, understood: object): void {
  for (const [name, value] of Object.entries(said)) {
    if (!Object.hasOwn(understood, name)) throw new Error(`${oneLine(name, 40)} is not known here`);
    if (typeof value === "object" && value !== null)
      refuseUnknown(value, (understood as Record<string, object>)[name]!);
  }
}

function parse(message: Record<string, unknown>): { seq: number; request: ServiceRequest } {
  const seq = number(message.seq, "seq", 1, Number.MAX_SAFE_INTEGER);
  switch (message.op) {
    case "hello":
    case "list":
      return { seq, request: { op: message.op } };
    case "remove":
      return { seq, request: { op: "remove", key: text(message.key, "key") } };
    case "tap":
      return {
        seq,
        request: { op: "tap", key: text(message.key, "key"), settings: tapSettings(message.settings) },
      };
    case "ports": {
      const settings = portSettings(message.settings);
      return {
        seq,
        request: { op: "ports", key: text(message.key, "key"), tap: text(message.tap, "tap"), settings },
      };
    }
    case "transparent":
      return {
        seq,
        request: { op: "transparent", key: text(message.key, "key"), tap: text(message.tap, "tap") },
      };
    case "resolver":
      return {
        seq,
        request: {
          op: "resolver",
          key: text(message.key, "key"),
          settings: resolverSettings(message.settings),
        },
      };
    case "name":
      return {
        seq,
        request: { op: "name", key: text(message.key, "key"), settings: nameSettings(message.settings) },
      };
    default:
      throw new Error("op is none that is known");
  }
}

function tapSettings(value: unknown): TapSettings {
  const { ipv4, ipv6, mac, mtu, hostLoopback, shared, aliases, without, dns, outbound } = record(
    value,
    "settings",
  );
  const four = record(ipv4, "ipv4");
  const six = ipv6 === undefined ? undefined : record(ipv6, "ipv6");
  const out = record(outbound, "outbound");
  return {
    ipv4: {
      subnet: cidr(four.subnet, "subnet", 4),
      gateway: address(four.gateway, "gateway", 4),
      dns: address(four.dns, "dns", 4),
      guest: address(four.guest, "guest", 4),
    },
    ...(six
      ? {
          ipv6: {
            prefix: cidr(six.prefix, "prefix", 6),
            gateway: address(six.gateway, "gateway", 6),
            dns: address(six.dns, "dns", 6),
            ...given("guest", six.guest, guest => address(guest, "guest", 6)),
          },
        }
      : {}),
    ...given("mac", mac, macAddress),
    mtu: number(mtu, "mtu", MTU.least, MTU.most),
    hostLoopback: flag(hostLoopback, "hostLoopback"),
    ...given("shared", shared, one => flag(one, "shared")),
    ...given("aliases", aliases, some => list(some, "aliases", alias)),
    ...given("without", without, some => list(some, "without", service)),
    dns: flag(dns, "dns"),
    outbound: {
      ...given("ipv4", out.ipv4, one => address(one, "outbound", 4)),
      ...given("ipv6", out.ipv6, one => address(one, "outbound", 6)),
      ...given("device4", out.device4, interfaceName),
      ...given("device6", out.device6, interfaceName),
    },
  };
}

function alias(value: unknown): { address: string; to: string } {
  const one = record(value, "an alias");
  return {
    address: address(one.address, "an alias"),
    to: one.to === "loopback" ? one.to : address(one.to, "to"),
  };
}

function service(value: unknown): Service {
  const found = SERVICES.find(one => one === value);
  if (!found) throw new Error("a service is none that is known");
  return found;
}

function portSettings(value: unknown): PortSettings {
  const { proto, hostAddr, hostPort, guestAddr, otherwise, guestPort, count } = record(value, "settings");
  if (proto !== "tcp" && proto !== "udp") throw new Error("proto is neither tcp nor udp");
  return {
    proto,
    hostAddr: address(hostAddr, "hostAddr"),
    hostPort: number(hostPort, "hostPort", 1, 65_535),
    guestAddr: address(guestAddr, "guestAddr"),
    ...(otherwise === undefined ? {} : { otherwise: address(otherwise, "otherwise") }),
    guestPort: number(guestPort, "guestPort", 1, 65_535),
    count: number(count, "count", 1, 65_535),
  };
}

function resolverSettings(value: unknown): ResolverSettings {
  const { network, domain, internal, addresses, subnets } = record(value, "settings");
  return {
    network: text(network, "network"),
    domain: text(domain, "domain"),
    internal: flag(internal, "internal"),
    addresses: list(addresses, "addresses", one => address(one, "an address")),
    subnets: list(subnets, "subnets", one => cidr(one, "a subnet")),
  };
}

function nameSettings(value: unknown): NameSettings {
  const { network, container, names, addresses, outside, resolvers } = record(value, "settings");
  return {
    network: text(network, "network"),
    container: text(container, "container"),
    names: list(names, "names", one => text(one, "a name")),
    addresses: list(addresses, "addresses", one => address(one, "an address")),
    outside: flag(outside, "outside"),
    resolvers: list(resolvers, "resolvers", one => address(one, "a resolver")),
  };
}

/** What need not be there, under its name if it is. */
function given<K extends string, T>(name: K, value: unknown, parse: (value: unknown) => T): { [P in K]?: T } {
  return (value === undefined ? {} : { [name]: parse(value) }) as { [P in K]?: T };
}

function macAddress(value: unknown): string {
  if (typeof value !== "string" || !parseMac(value)) throw new Error("mac is no hardware address");
  return value;
}

function interfaceName(value: unknown): string {
  if (typeof value !== "string" || !/^[^\s/:]{1,15}$/.test(value))
    throw new Error("outbound is no interface");
  return value;
}

function record(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Error(`${name} is no object`);
  return value as Record<string, unknown>;
}

function number(value: unknown, name: string, least: number, most: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most)
    throw new Error(`${name} is no number from ${least} to ${most}`);
  return value as number;
}

function flag(value: unknown, name: string): boolean {
  if (typeof value !== "boolean") throw new Error(`${name} is neither true nor false`);
  return value;
}

function text(value: unknown, name: string): string {
  if (typeof value !== "string" || value.length === 0 || value.length > MAX_TEXT)
    throw new Error(`${name} is no text of 1 to ${MAX_TEXT} characters`);
  return value;
}

function list<T>(value: unknown, name: string, parse: (one: unknown) => T): T[] {
  if (!Array.isArray(value)) throw new Error(`${name} is no list`);
  return value.map(parse);
}

function address(value: unknown, name: string, family?: 4 | 6): string {
  const parsed = typeof value === "string" ? parseIP(value) : undefined;
  if (!parsed || (family && parsed.family !== family))
    throw new Error(`${name} is no IP${family ? `v${family}` : ""} address`);
  return value as string;
}

function cidr(value: unknown, name: string, family?: 4 | 6): string {
  const parsed = typeof value === "string" ? parseCidr(value) : undefined;
  if (!parsed || (family && parsed.ip.family !== family))
    throw new Error(`${name} is no IP${family ? `v${family}` : ""} network`);
  return value as string;
}
