/** From what was asked for and what the host is like to a user-mode network, decided to the last address. Pure. */
import { UserError } from "../base/errors.ts";
import type { TapSettings } from "../netd/control.ts";
import { bigIntToIp, formatIP, ipToBigInt, parseCidr, parseIP } from "../wire/addr.ts";
import { freeIpv4Subnet, freeIpv6Prefix } from "./free-subnet.ts";
import { type HostNetwork, hostAddress } from "./host-network.ts";
import { MIN_STACK_MTU } from "./mtu.ts";
import { planPasta } from "./pasta.ts";
import type { Slirp4netnsOptions, UserModeOptions } from "./user-mode-options.ts";

export interface PlannedRoute {
  /** `0.0.0.0/0`, `::/0`, or a network. */
  dst: string;
  /** Absent: on the wire. */
  gateway?: string;
  onlink?: boolean;
}

/** Plain data, kept in a container's state: enough to make the network again after a crash of whoever served it. */
export interface UserModePlan {
  mode: UserModeOptions["mode"];
  /** For the data plane. */
  settings: TapSettings;
  /** Of the interface in the container. */
  ifName: string;
  /** Bytes of IP packet. */
  mtu: number;
  mac?: string;
  /** `10.0.2.100/24`. */
  addresses: string[];
  routes: PlannedRoute[];
  /** Where published ports lead: the container's address of each family; "" where it has none. */
  guest: { ipv4: string; ipv6: string };
  /** For resolv.conf. */
  nameservers: string[];
  search: string[];
  /** What the container calls host.containers.internal; "" where it can't reach the host. */
  hostAddress: string;
}

/** `avoid`: networks that the plan may not lie in, besides the host's. */
export function planUserMode(
  options: UserModeOptions,
  host: HostNetwork,
  avoid: readonly string[] = [],
): UserModePlan {
  return options.mode === "slirp4netns" ? planSlirp4netns(options, host, avoid) : planPasta(options, host);
}

/** The address that lies `offset` after the network's first. */
function at(network: string, offset: number): string {
  const { ip } = parseCidr(network)!;
  return formatIP(bigIntToIp(ipToBigInt(ip) + BigInt(offset), ip.family));
}

/** slirp4netns(1): gateway .2, DNS .3, guest .100. */
function planSlirp4netns(
  options: Slirp4netnsOptions,
  host: HostNetwork,
  avoid: readonly string[],
): UserModePlan {
  const subnet = options.cidr ?? freeIpv4Subnet(host, avoid);
  const prefix = options.ipv6 ? freeIpv6Prefix(host, avoid) : undefined;
  const length = (network: string) => network.slice(network.indexOf("/"));
  const [gateway, dns, guest] = [at(subnet, 2), at(subnet, 3), at(subnet, 100)];
  const ipv6 = prefix && { prefix, gateway: at(prefix, 2), dns: at(prefix, 3), guest: at(prefix, 0x100) };
  const { allowHostLoopback: hostLoopback, mtu } = options;
  return {
    mode: "slirp4netns",
    settings: {
      ipv4: { subnet, gateway, dns, guest },
      ...(ipv6 ? { ipv6: { prefix: ipv6.prefix, gateway: ipv6.gateway, dns: ipv6.dns } } : {}),
      mtu: Math.max(mtu, MIN_STACK_MTU),
      hostLoopback,
      dns: true,
      outbound: {
        ...source("outbound_addr", options.outbound, 4, host),
        ...source("outbound_addr6:", options.outbound6, 6, host),
      },
    },
    ifName: "tap0",
    mtu,
    addresses: [`${guest}${length(subnet)}`, ...(ipv6 ? [`${ipv6.guest}${length(ipv6.prefix)}`] : [])],
    routes: [{ dst: "0.0.0.0/0", gateway }, ...(ipv6 ? [{ dst: "::/0", gateway: ipv6.gateway }] : [])],
    guest: { ipv4: guest, ipv6: ipv6 ? ipv6.guest : "" },
    nameservers: [dns],
    search: [],
    hostAddress: hostAddress(host, 4) || (hostLoopback ? gateway : ""),
  };
}

/** The address that traffic leaves from: as it stands, or an interface's. */
function source(
  option: string,
  text: string | undefined,
  family: 4 | 6,
  host: HostNetwork,
): { ipv4?: string; ipv6?: string } {
  if (text === undefined) return {};
  const own = host.interfaces.find(({ name }) => name === text)?.addresses ?? [];
  const usable = own.filter(({ ip }) => ip.includes(":") === (family === 6));
  const address = parseIP(text) ? text : (usable.find(({ scope }) => scope === "global") ?? usable[0])?.ip;
  if (address === undefined)
    throw new UserError(`invalid ${option} ${JSON.stringify(text)}`, { exitCode: 126 });
  return family === 4 ? { ipv4: address } : { ipv6: address };
}
