/**
 * Where a flow from the guest may go, and from whom: the one place where the guest's addresses get their meaning.
 *
 * Answers are a `Destination`, or the error that the guest is to see, as an errno: `ECONNREFUSED` (reset or port
 * unreachable), `ENETUNREACH`, `EHOSTUNREACH`; 0 for what is dropped without a word (RFC 1122, 3.2.1.3).
 */
import type { Alias, StackConfig } from "./config.ts";
import type { Endpoint } from "./endpoint.ts";
import { ERRNO } from "./errno.ts";
import type { Destination } from "./outside.ts";

export const DNS_PORT = 53;
const LOOPBACK4 = Uint8Array.of(127, 0, 0, 1);
const LOOPBACK6 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

export class Policy {
  /** The gateway's link-local address: fe80::/64 with the interface identifier of our MAC (RFC 4291, appendix A). */
  readonly linkLocal: Uint8Array;
  readonly #config: StackConfig;

  constructor(config: StackConfig) {
    this.#config = config;
    const mac = config.mac;
    this.linkLocal = Uint8Array.of(
      ...[0xfe, 0x80, 0, 0, 0, 0, 0, 0],
      ...[mac[0]! ^ 2, mac[1]!, mac[2]!, 0xff, 0xfe, mac[3]!, mac[4]!, mac[5]!],
    );
  }

  /** Where a flow to this address and port goes; addresses are 4 or 16 bytes at `start`. */
  route(family: 4 | 6, buffer: Uint8Array, start: number, port: number): Destination | number {
    const { hostLoopback, shared, dns } = this.#config;
    if (this.isGateway(family, buffer, start)) {
      if (hostLoopback) return loopback(family, port);
      if (!shared) return ERRNO.ENETUNREACH;
    }
    const address = buffer.slice(start, start + (family === 4 ? 4 : 16));
    if (this.isDns(family, buffer, start))
      return dns && port === DNS_PORT ? { kind: "dns", family, address, port } : ERRNO.ECONNREFUSED;
    const alias = this.#aliasAt(family, buffer, start);
    if (alias)
      return alias.to === "loopback"
        ? loopback(family, port)
        : { kind: "internet", family, address: alias.to.bytes, port };
    if (!this.isRoutable(family, buffer, start)) return 0;
    if (!this.isBeyond(family, buffer, start)) return ERRNO.EHOSTUNREACH;
    return { kind: "internet", family, address, port };
  }

  /** True for an address that a guest may have: on its network, and neither ours nor a broadcast address. */
  isGuest(family: 4 | 6, buffer: Uint8Array, start: number): boolean {
    return (
      this.isOnLink(family, buffer, start) &&
      !this.isOurs(family, buffer, start) &&
      (family === 6 || !this.#isBroadcast(buffer, start))
    );
  }

  /** True for the addresses that the stack itself answers for on the wire. */
  isOurs(family: 4 | 6, buffer: Uint8Array, start: number): boolean {
    return this.isGateway(family, buffer, start) || this.isDns(family, buffer, start);
  }

  /** True for those of them that are nobody's beyond. */
  isOursAlone(family: 4 | 6, buffer: Uint8Array, start: number): boolean {
    const { shared, hostLoopback } = this.#config;
    return (
      this.isOurs(family, buffer, start) &&
      (!shared || hostLoopback || isLinkLocal(buffer, start) || !this.isGateway(family, buffer, start))
    );
  }

  isGateway(family: 4 | 6, buffer: Uint8Array, start: number): boolean {
    const { ipv4, ipv6 } = this.#config;
    if (family === 4) return same(buffer, start, ipv4.gateway.bytes);
    return (
      ipv6 !== undefined && (same(buffer, start, ipv6.gateway.bytes) || same(buffer, start, this.linkLocal))
    );
  }

  isDns(family: 4 | 6, buffer: Uint8Array, start: number): boolean {
    const own = family === 4 ? this.#config.ipv4 : this.#config.ipv6;
    return own !== undefined && same(buffer, start, own.dns.bytes);
  }

  /** True for addresses of the guest's wire, link-local ones of IPv6 among them. */
  isOnLink(family: 4 | 6, buffer: Uint8Array, start: number): boolean {
    const { ipv4, ipv6 } = this.#config;
    if (family === 4) return within(buffer, start, ipv4.subnet.ip.bytes, ipv4.subnet.prefix);
    return (
      (ipv6 !== undefined && within(buffer, start, ipv6.prefix.ip.bytes, ipv6.prefix.prefix)) ||
      isLinkLocal(buffer, start)
    );
  }

  /** True for addresses, routable ones, that are reached by us as a router, and not on the guest's wire. */
  isBeyond(family: 4 | 6, buffer: Uint8Array, start: number): boolean {
    if (!this.isOnLink(family, buffer, start)) return true;
    return (
      this.#config.shared === true &&
      !(family === 6 && isLinkLocal(buffer, start)) &&
      !this.#isGuestsOwn(family, buffer, start)
    );
  }

  #isGuestsOwn(family: 4 | 6, buffer: Uint8Array, start: number): boolean {
    const own = family === 4 ? this.#config.ipv4.guest : this.#config.ipv6?.guest;
    return own !== undefined && same(buffer, start, own.bytes);
  }

  #aliasAt(family: 4 | 6, buffer: Uint8Array, start: number): Alias | undefined {
    return this.#config.aliases?.find(
      ({ address }) => address.family === family && same(buffer, start, address.bytes),
    );
  }

  /**
   * False for what may not be on a wire as a destination of a flow: unspecified, loopback, groups and broadcasts
   * (RFC 1122, 3.2.1.3; RFC 4291, 2.5 to 2.7), and IPv6 addresses with an IPv4 address inside, which a socket would take
   * for that address and so get round every rule here.
   */
  isRoutable(family: 4 | 6, buffer: Uint8Array, start: number): boolean {
    const first = buffer[start]!;
    if (family === 4) return first !== 0 && first !== 127 && first < 224 && !this.#isBroadcast(buffer, start);
    if (first === 0xff) return false;
    for (let index = 0; index < 10; index++) if (buffer[start + index] !== 0) return true;
    const word = (buffer[start + 10]! << 8) | buffer[start + 11]!;
    return word !== 0 && word !== 0xffff;
  }

  /**
   * The address that a client of a published port has for a guest at `to`: its own where it can have one. Loopback
   * clients, those of another family and those whose address means something else on the guest's wire have one that
   * stands for the host, or the gateway's.
   */
  clientAddress(from: Endpoint, to: Endpoint): Uint8Array {
    const { family, address } = from;
    const { ipv4, ipv6 } = this.#config;
    if (family === to.family && this.isRoutable(family, address, 0) && this.isBeyond(family, address, 0))
      return address;
    const alias = this.#config.aliases?.find(one => one.address.family === to.family);
    if (alias) return alias.address.bytes;
    return to.family === 4 ? ipv4.gateway.bytes : (ipv6?.gateway.bytes ?? this.linkLocal);
  }

  #isBroadcast(buffer: Uint8Array, start: number): boolean {
    const { subnet } = this.#config.ipv4;
    if (!within(buffer, start, subnet.ip.bytes, subnet.prefix))
      return buffer[start] === 255 && all(buffer, start);
    const host = word(buffer, start) & (subnet.prefix === 0 ? -1 : ~(-1 << (32 - subnet.prefix)));
    return subnet.prefix < 31 && (host === 0 || host === ~(-1 << (32 - subnet.prefix)));
  }
}

function loopback(family: 4 | 6, port: number): Destination {
  return { kind: "loopback", family, address: family === 4 ? LOOPBACK4 : LOOPBACK6, port };
}

function same(buffer: Uint8Array, start: number, bytes: Uint8Array): boolean {
  for (let index = bytes.length - 1; index >= 0; index--)
    if (buffer[start + index] !== bytes[index]) return false;
  return true;
}

/** True when the first `prefix` bits are those of `bytes`. */
function within(buffer: Uint8Array, start: number, bytes: Uint8Array, prefix: number): boolean {
  const whole = prefix >>> 3;
  for (let index = 0; index < whole; index++) if (buffer[start + index] !== bytes[index]) return false;
  const rest = prefix & 7;
  return rest === 0 || (buffer[start + whole]! ^ bytes[whole]!) >>> (8 - rest) === 0;
}

function isLinkLocal(buffer: Uint8Array, start: number): boolean {
  return buffer[start] === 0xfe && (buffer[start + 1]! & 0xc0) === 0x80;
}

function all(buffer: Uint8Array, start: number): boolean {
  return word(buffer, start) === -1;
}

function word(buffer: Uint8Array, at: number): number {
  return (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!;
}
