/**
 * `--network pasta` as Podman 5 has it: the container has the host's own address, on an interface of the same name, and
 * everybody sees it as the host. Served by our own stack.
 */
import { contains, formatIP, networkOf, parseCidr, parseIP } from "../wire/addr.ts";
import { defaultRoute, globalAddress, type HostNetwork, hostAddress } from "./host-network.ts";
import { MIN_STACK_MTU } from "./mtu.ts";
import { type PastaOptions, PODMAN_DNS, PODMAN_HOST, refusal } from "./pasta-options.ts";
import type { PlannedRoute, UserModePlan } from "./user-mode.ts";

/** What a host without any address to copy gets, as passt(1) does it. */
const LINK_LOCAL = { address: "169.254.2.1", prefix: 16, gateway: "169.254.2.2" } as const;
/**
 * Where IPv6 has resolver and host, like PODMAN_DNS and PODMAN_HOST; a container without IPv4 knows only these. Unique local
 * (RFC 4193), and nobody's.
 */
const DNS6 = "fd70:6f72:746f:6c61::1";
const HOST6 = "fd70:6f72:746f:6c61::2";

/** One family's half of the plan. */
interface Half {
  address: string;
  prefix: number;
  gateway: string;
}

const isOf = (family: 4 | 6) => (text: string) => parseIP(text)?.family === family;
const ANY = { 4: "0.0.0.0/0", 6: "::/0" } as const;

export function planPasta(options: PastaOptions, host: HostNetwork): UserModePlan {
  const { family, mtu, mapGateway, without } = options;
  if (options.interface && !host.interfaces.some(({ name }) => name === options.interface))
    throw refusal(`invalid interface name ${options.interface}: no such device`);
  const four = family === 6 ? undefined : copied(options, host, 4);
  const six = family === 4 ? undefined : copied(options, host, 6);
  const ipv4 = four ?? (six ? undefined : LINK_LOCAL);
  const forwards = options.dnsForward ?? (ipv4 ? [PODMAN_DNS] : [DNS6]);
  const hosts = options.mapGuestAddress ?? [PODMAN_HOST, HOST6];
  const aliases = [
    ...hosts.flatMap(address => {
      const to = hostAddress(host, parseIP(address)!.family);
      return to ? [{ address, to }] : [];
    }),
    ...options.mapHostLoopback.map(address => ({ address, to: "loopback" })),
  ];
  const halves = [ipv4, six].filter(one => one !== undefined);
  // Of a family that the container has not, the stack knows addresses that nobody uses.
  const shown = ipv4 ?? LINK_LOCAL;
  return {
    mode: "pasta",
    settings: {
      ipv4: {
        subnet: networkText(shown),
        gateway: shown.gateway,
        dns: forwards.find(isOf(4)) ?? PODMAN_DNS,
        guest: shown.address,
      },
      ...(six
        ? {
            ipv6: {
              prefix: networkText(six),
              gateway: six.gateway,
              dns: forwards.find(isOf(6)) ?? DNS6,
              guest: six.address,
            },
          }
        : {}),
      ...(options.gatewayMac ? { mac: options.gatewayMac } : {}),
      mtu: Math.max(mtu, MIN_STACK_MTU),
      hostLoopback: mapGateway,
      shared: true,
      aliases,
      without,
      dns: true,
      outbound: outboundOf(options, host),
    },
    ifName: options.name ?? template(options, host) ?? "tap0",
    mtu,
    ...(options.mac ? { mac: options.mac } : {}),
    addresses: halves.map(({ address, prefix }) => `${address}/${prefix}`),
    routes: halves.flatMap(routesBy),
    guest: { ipv4: ipv4?.address ?? "", ipv6: six?.address ?? "" },
    nameservers: options.dns ?? forwards,
    search: options.search,
    hostAddress: hostName(options, aliases, ipv4, six),
  };
}

/** The interface that is copied: the one that was named, or the default route's. */
function template(options: PastaOptions, host: HostNetwork): string | undefined {
  return options.interface ?? (defaultRoute(host, 4) ?? defaultRoute(host, 6))?.interface;
}

/** What was asked for, completed by what the host has; undefined where the host has nothing of the family to copy. */
function copied(options: PastaOptions, host: HostNetwork, family: 4 | 6): Half | undefined {
  const route = defaultRoute(host, family, options.interface);
  const own = globalAddress(host, options.interface ?? route?.interface ?? "", family);
  const address = options.addresses.find(isOf(family)) ?? own?.ip;
  const gateway = options.gateways.find(isOf(family)) ?? route?.gateway;
  if (address === undefined || gateway === undefined) return undefined;
  const prefix = (family === 4 ? options.prefix : undefined) ?? prefixOf(address, own, family);
  // A way out without a gateway: everybody is on the wire, and we answer for all.
  return { address, prefix, gateway: gateway || firstOther(address, prefix) };
}

/** That of the host's address where it lies in the same network; else that of its class (RFC 791), or IPv6's 64. */
function prefixOf(address: string, own: { ip: string; prefix: number } | undefined, family: 4 | 6): number {
  const ip = parseIP(address)!;
  if (own && contains({ ip: parseIP(own.ip)!, prefix: own.prefix }, ip)) return own.prefix;
  if (family === 6) return 64;
  const first = ip.bytes[0]!;
  return first < 128 ? 8 : first < 192 ? 16 : first < 224 ? 24 : 32;
}

/** The lowest address of the network that is not `address`. */
function firstOther(address: string, prefix: number): string {
  const ip = parseIP(address)!;
  const bytes = networkOf({ ip, prefix }).bytes.slice();
  bytes[bytes.length - 1]! |= 1;
  if (formatIP({ family: ip.family, bytes }) === formatIP(ip)) bytes[bytes.length - 1]! ^= 3;
  return formatIP({ family: ip.family, bytes });
}

function networkText({ address, prefix }: Half): string {
  return `${formatIP(networkOf({ ip: parseIP(address)!, prefix }))}/${prefix}`;
}

/** The default route, and before it one to its gateway where that lies outside of the network. */
function routesBy({ address, prefix, gateway }: Half): PlannedRoute[] {
  const { family } = parseIP(address)!;
  const isNear =
    contains({ ip: parseIP(address)!, prefix }, parseIP(gateway)!) ||
    contains(parseCidr("fe80::/10")!, parseIP(gateway)!);
  const near = isNear ? [] : [{ dst: `${gateway}/${family === 4 ? 32 : 128}` }];
  return [...near, { dst: ANY[family], gateway }];
}

/** Where the container finds the host. */
function hostName(
  { mapGateway }: PastaOptions,
  aliases: readonly { address: string }[],
  four: Half | undefined,
  six: Half | undefined,
): string {
  const usable = aliases.map(one => one.address).filter(text => (isOf(4)(text) ? four : six) !== undefined);
  return usable.find(isOf(4)) ?? usable[0] ?? (mapGateway ? (four ?? six)!.gateway : "");
}

function outboundOf(options: PastaOptions, host: HostNetwork): UserModePlan["settings"]["outbound"] {
  const device = (name: string | undefined) => {
    if (name && !host.interfaces.some(one => one.name === name))
      throw refusal(`invalid interface name ${name}: no such device`);
    return name;
  };
  const found = {
    ipv4: options.outbound.find(isOf(4)),
    ipv6: options.outbound.find(isOf(6)),
    device4: device(options.outboundInterface4),
    device6: device(options.outboundInterface6),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}
