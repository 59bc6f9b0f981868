/** Orders as the data plane's taps, ports, resolvers and names. Descriptors that come with one belong to whatever it makes of them. */
import { BugError } from "../base/errors.ts";
import type { StackConfig, StackLimits } from "../stack/config.ts";
import { closeFd } from "../sys/fd.ts";
import { adoptTap, type TapDevice } from "../sys/tun.ts";
import { type Cidr, type IpAddress, parseCidr, parseIP, parseMac } from "../wire/addr.ts";
import type {
  KeyedOrder,
  NameSettings,
  Order,
  PortSettings,
  ResolverSettings,
  TapSettings,
} from "./control.ts";
import type { DataPlane } from "./data-plane.ts";
import type { NetworkResolver } from "./resolver.ts";
import type { Tap } from "./tap.ts";

/** What one guest may hold: some ten thousand connections, and memory that a laptop can spare. */
const LIMITS: StackLimits = {
  tcpFlows: 16_384,
  udpFlows: 4096,
  pingFlows: 256,
  flowBuffer: 4 << 20,
  totalBuffer: 256 << 20,
  reassembly: 4 << 20,
};

/** An order in force. */
export interface Given {
  order: KeyedOrder;
  /** What came with it; of whatever was made of them, and open as long as the order is in force. */
  fds: readonly number[];
}

export class Orders {
  private readonly given = new Map<string, Given>();
  private readonly taps = new Map<string, Tap>();
  private readonly ports = new Map<string, { tap: Tap; id: number }>();
  private readonly resolvers = new Map<string, NetworkResolver>();

  /** `gone` is told of taps whose device is no more. */
  constructor(
    private readonly plane: DataPlane,
    private readonly gone: (key: string) => void,
  ) {}

  /** The orders in force, the oldest first. */
  inForce(): Given[] {
    return [...this.given.values()];
  }

  /** Throws what stands in the way; then the descriptors are closed. */
  obey(order: Order, fds: readonly number[]): void {
    this.carryOut(order, fds);
    if (order.op !== "remove") this.given.set(order.key, { order, fds });
  }

  private carryOut(order: Order, fds: readonly number[]): void {
    switch (order.op) {
      case "tap":
        this.addTap(order.key, order.settings, fds);
        break;
      case "ports":
        this.addPorts(order.key, order.tap, order.settings, fds);
        break;
      case "transparent":
        this.addTransparent(order.tap, fds);
        break;
      case "resolver":
        this.addResolver(order.key, order.settings, fds);
        break;
      case "name":
        this.addName(order.key, order.settings);
        break;
      case "remove":
        this.remove(order.key);
    }
  }

  private addTap(key: string, settings: TapSettings, fds: readonly number[]): void {
    const [fd] = fds;
    if (fd === undefined || fds.length !== 1) throw new BugError(`a tap came with ${fds.length} descriptors`);
    const { ipv4, ipv6, device4, device6 } = settings.outbound;
    const tap = this.plane.addTap({
      device: adopted(fd),
      config: configOf(settings, this.plane.searchDomains),
      outbound: {
        ...(ipv4 ? { ipv4: ip(ipv4) } : {}),
        ...(ipv6 ? { ipv6: ip(ipv6) } : {}),
        ...(device4 ? { device4 } : {}),
        ...(device6 ? { device6 } : {}),
      },
      onGone: () => {
        this.taps.delete(key);
        this.forget(key);
        this.gone(key);
      },
    });
    this.taps.set(key, tap);
  }

  private addPorts(key: string, tapKey: string, settings: PortSettings, fds: readonly number[]): void {
    const tap = this.taps.get(tapKey);
    if (!tap) {
      for (const fd of fds) closeFd(fd);
      throw new BugError(`there is no tap ${tapKey}`);
    }
    const { proto, hostAddr, hostPort, guestAddr, otherwise, guestPort, count } = settings;
    const id = tap.publish(
      {
        protocol: proto,
        hostAddress: ip(hostAddr),
        hostPort,
        count,
        guestAddress: ip(guestAddr),
        ...(otherwise ? { otherwise: ip(otherwise) } : {}),
        guestPort,
      },
      fds,
    );
    this.ports.set(key, { tap, id });
  }

  private addTransparent(tapKey: string, fds: readonly number[]): void {
    const tap = this.taps.get(tapKey);
    if (!tap) {
      for (const fd of fds) closeFd(fd);
      throw new BugError(`there is no tap ${tapKey}`);
    }
    tap.relays.give(fds);
  }

  private addResolver(key: string, settings: ResolverSettings, sockets: readonly number[]): void {
    const { network, domain, internal, subnets } = settings;
    const addresses = settings.addresses.map(ip);
    if (sockets.length !== 2 * addresses.length) {
      for (const fd of sockets) closeFd(fd);
      throw new BugError(`a resolver of ${addresses.length} addresses came with ${sockets.length} sockets`);
    }
    const resolver = this.plane.addResolver({
      network: {
        name: network,
        domain: domain.toLowerCase(),
        internal,
        subnets: subnets.map(cidr),
        addresses,
      },
      sockets,
    });
    this.resolvers.set(key, resolver);
  }

  private addName(key: string, settings: NameSettings): void {
    const { network, container, names, addresses, outside, resolvers } = settings;
    this.plane.names.add(key, {
      network,
      container,
      names: names.map(name => name.toLowerCase()),
      addresses: addresses.map(ip),
      outside,
      resolvers: resolvers.map(one => ({ ip: ip(one), zone: "" })),
    });
  }

  /** A tap has closed its ports with it. */
  private forget(key: string): void {
    this.given.delete(key);
    for (const { order } of this.inForce())
      if ("tap" in order && order.tap === key) this.given.delete(order.key);
  }

  private remove(key: string): void {
    this.forget(key);
    this.plane.names.remove(key);
    const resolver = this.resolvers.get(key);
    if (resolver) this.plane.removeResolver(resolver);
    this.resolvers.delete(key);
    const ports = this.ports.get(key);
    ports?.tap.unpublish(ports.id);
    this.ports.delete(key);
    const tap = this.taps.get(key);
    if (tap) this.plane.removeTap(tap);
    this.taps.delete(key);
  }
}

/** The device, or the descriptor is closed. */
function adopted(fd: number): TapDevice {
  try {
    return adoptTap(fd);
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

function configOf(
  settings: TapSettings,
  searchDomains: readonly string[],
): Omit<StackConfig, "offload" | "secret"> {
  const { ipv4, ipv6 } = settings;
  const gateway = ip(ipv4.gateway);
  return {
    ipv4: { subnet: cidr(ipv4.subnet), gateway, dns: ip(ipv4.dns), guest: ip(ipv4.guest) },
    ...(ipv6
      ? {
          ipv6: {
            prefix: cidr(ipv6.prefix),
            gateway: ip(ipv6.gateway),
            dns: ip(ipv6.dns),
            ...(ipv6.guest ? { guest: ip(ipv6.guest) } : {}),
          },
        }
      : {}),
    mac: settings.mac ? (parseMac(settings.mac) ?? bug(settings.mac)) : gatewayMac(gateway),
    mtu: settings.mtu,
    hostLoopback: settings.hostLoopback,
    shared: settings.shared ?? false,
    aliases: (settings.aliases ?? []).map(one => ({
      address: ip(one.address),
      to: one.to === "loopback" ? one.to : ip(one.to),
    })),
    without: settings.without ?? [],
    dns: settings.dns,
    searchDomains,
    limits: LIMITS,
  };
}

/** The gateway's, the same after every start, so that what guests remember of it stays true. */
function gatewayMac(gateway: IpAddress): Uint8Array {
  return Uint8Array.of(0x52, 0x55, ...gateway.bytes);
}

function ip(text: string): IpAddress {
  return parseIP(text) ?? bug(text);
}

function cidr(text: string): Cidr {
  return parseCidr(text) ?? bug(text);
}

function bug(text: string): never {
  throw new BugError(`an order holds the address ${JSON.stringify(text)}`);
}
