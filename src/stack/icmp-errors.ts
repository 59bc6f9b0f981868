/**
 * ICMP and ICMPv6 errors to the guest: what a direct connection would have met, told as a router or the peer would.
 *
 * Errors come as the errno that a socket of the host showed. They quote the guest's packet, are limited in rate
 * (RFC 1812, 4.3.2.8; RFC 4443, 2.4 f), and never answer an error, a group or a fragment that is not the first
 * (RFC 1122, 3.2.2; RFC 4443, 2.4 e).
 */
import { ICMP, ICMP_TYPE, isIcmpError, putIcmp, UNREACHABLE } from "../wire/icmp.ts";
import { ICMPV6_TYPE, isIcmpV6Error, UNREACHABLE6 } from "../wire/icmpv6.ts";
import { IPV4, PROTOCOL, putIPv4, sealIPv4 } from "../wire/ipv4.ts";
import { IPV6, putIPv6 } from "../wire/ipv6.ts";
import type { StackConfig } from "./config.ts";
import type { Endpoint } from "./endpoint.ts";
import { ERRNO } from "./errno.ts";
import type { IpOutput } from "./ip-output.ts";
import type { Packet } from "./packet.ts";
import type { Policy } from "./policy.ts";

/** Errors a second, and how many may come at once: Linux' own limits. */
const PER_MILLISECOND = 1;
const BURST = 50;
/** Bytes of an error, IP header and all (RFC 1812, 4.3.2.3; RFC 4443, 2.4 c). */
const MOST4 = 576;
const MOST6 = IPV6.MIN_MTU;
/** Bytes of the transport's header that a quotation made from memory has. */
const QUOTED = 8;

export class IcmpErrors {
  readonly #config: StackConfig;
  readonly #output: IpOutput;
  readonly #policy: Policy;
  #tokens = BURST;
  #filled = Number.NEGATIVE_INFINITY;
  readonly #quote = new Uint8Array(new ArrayBuffer(IPV6.HEADER + QUOTED));
  readonly #quoteView = new DataView(this.#quote.buffer);

  constructor(config: StackConfig, output: IpOutput, policy: Policy) {
    this.#config = config;
    this.#output = output;
    this.#policy = policy;
  }

  /** Answers `packet` with the error `errno`; `mtu` belongs to EMSGSIZE. 0 and what no ICMP error says are silence. */
  answer(now: number, packet: Packet, errno: number, mtu = 0): void {
    if (!this.#answerable(packet)) return;
    const { family, buffer, ip, end, source, destination } = packet;
    const port = errno === ERRNO.ECONNREFUSED;
    this.#send(now, errno, mtu, family, buffer, ip, end, source, port ? destination : -1);
  }

  /**
   * Tells `guest` that what it sent to `peer` met `errno`, long after the packet is gone. `word` is bytes 4 to 7 of the
   * transport's header: TCP's sequence number, UDP's length and checksum, an echo's identifier and sequence number.
   */
  report(
    now: number,
    errno: number,
    protocol: number,
    guest: Endpoint,
    peer: Endpoint,
    word: number,
    mtu = 0,
  ): void {
    const { family } = guest;
    const quote = this.#quote;
    const view = this.#quoteView;
    const source = family === 4 ? IPV4.SOURCE : IPV6.SOURCE;
    const destination = family === 4 ? IPV4.DESTINATION : IPV6.DESTINATION;
    const transport = family === 4 ? IPV4.HEADER : IPV6.HEADER;
    if (family === 4) putIPv4(view, 0, 0, IPV4.DONT_FRAGMENT, 64, protocol);
    else putIPv6(view, 0, protocol, 64);
    quote.set(guest.address, source);
    quote.set(peer.address, destination);
    if (family === 4) sealIPv4(view, quote, 0, transport + QUOTED);
    else view.setUint16(IPV6.PAYLOAD_LENGTH, QUOTED);
    const isEcho = protocol === PROTOCOL.ICMP || protocol === PROTOCOL.ICMPV6;
    if (isEcho) view.setUint32(transport, (family === 4 ? ICMP_TYPE.ECHO : ICMPV6_TYPE.ECHO) << 24);
    else view.setUint32(transport, ((guest.port << 16) | peer.port) >>> 0);
    view.setUint32(transport + 4, word);
    const from = errno === ERRNO.ECONNREFUSED ? destination : -1;
    this.#send(now, errno, mtu, family, quote, 0, transport + QUOTED, source, from);
  }

  /** A header that nobody could follow (RFC 4443, 3.4); `pointer`: offset of the culprit from the IPv6 header. */
  parameterProblem(now: number, packet: Packet, code: number, pointer: number): void {
    if (!this.#answerable(packet) || !this.#permitted(now)) return;
    const { buffer, ip, end, source } = packet;
    this.#emit(6, ICMPV6_TYPE.PARAMETER_PROBLEM, code, pointer, buffer, ip, end, source, -1);
  }

  /**
   * The packet used up its hops, or fragments did not come in time (`code`, TIME_EXCEEDED); in this case `packet` goes as
   * far as its first fragment went.
   */
  timeExceeded(now: number, packet: Packet, code: number): void {
    if (!this.#answerable(packet) || !this.#permitted(now)) return;
    const { family, buffer, ip, end, source } = packet;
    const type = family === 4 ? ICMP_TYPE.TIME_EXCEEDED : ICMPV6_TYPE.TIME_EXCEEDED;
    this.#emit(family, type, code, 0, buffer, ip, end, source, -1);
  }

  #answerable(packet: Packet): boolean {
    const { family, buffer, source, destination, protocol, transport, end } = packet;
    if (!this.#policy.isGuest(family, buffer, source)) return false;
    const ours = this.#policy.isOurs(family, buffer, destination);
    if (!ours && !this.#policy.isRoutable(family, buffer, destination)) return false;
    if (protocol === PROTOCOL.ICMP && family === 4)
      return transport < end && !isIcmpError(buffer[transport]!);
    if (protocol === PROTOCOL.ICMPV6 && family === 6)
      return transport < end && !isIcmpV6Error(buffer[transport]!);
    return true;
  }

  #send(
    now: number,
    errno: number,
    mtu: number,
    family: 4 | 6,
    quote: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    to: number,
    from: number,
  ): void {
    const code = codeFor(errno, family);
    if (code < 0 || !this.#permitted(now)) return;
    const unreachable = family === 4 ? ICMP_TYPE.UNREACHABLE : ICMPV6_TYPE.UNREACHABLE;
    if (errno !== ERRNO.EMSGSIZE) this.#emit(family, unreachable, code, 0, quote, start, end, to, from);
    else if (family === 4)
      this.#emit(4, ICMP_TYPE.UNREACHABLE, code, mtu & 0xffff, quote, start, end, to, from);
    else this.#emit(6, ICMPV6_TYPE.TOO_BIG, 0, mtu, quote, start, end, to, from);
  }

  /** `to` and `from` are offsets in `quote` of the receiver's and the sender's address; -1: the gateway speaks. */
  #emit(
    family: 4 | 6,
    type: number,
    code: number,
    rest: number,
    quote: Uint8Array<ArrayBuffer>,
    start: number,
    end: number,
    to: number,
    from: number,
  ): void {
    const output = this.#output;
    const gateway = family === 4 ? this.#config.ipv4.gateway.bytes : this.#config.ipv6?.gateway.bytes;
    const source = from < 0 ? (gateway ?? this.#policy.linkLocal) : quote;
    const protocol = family === 4 ? PROTOCOL.ICMP : PROTOCOL.ICMPV6;
    const at = output.begin(family, protocol, source, Math.max(from, 0), quote, to);
    const header = (family === 4 ? IPV4.HEADER : IPV6.HEADER) + ICMP.HEADER;
    putIcmp(output.view, at, type, code, rest);
    output.frame.payload = quote;
    output.frame.payloadStart = start;
    output.frame.payloadLength = Math.min(end - start, (family === 4 ? MOST4 : MOST6) - header);
    output.send(ICMP.HEADER, ICMP.CHECKSUM, 0);
  }

  /** A bucket of tokens. */
  #permitted(now: number): boolean {
    this.#tokens = Math.min(BURST, this.#tokens + Math.max(0, now - this.#filled) * PER_MILLISECOND);
    this.#filled = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

/** The code that says what `errno` says, of the types "unreachable" and "too big"; -1: no error of ICMP says that. */
function codeFor(errno: number, family: 4 | 6): number {
  switch (errno) {
    case ERRNO.ECONNREFUSED:
      return family === 4 ? UNREACHABLE.PORT : UNREACHABLE6.PORT;
    case ERRNO.EHOSTUNREACH:
    case ERRNO.EHOSTDOWN:
      return family === 4 ? UNREACHABLE.HOST : UNREACHABLE6.ADDRESS;
    case ERRNO.ENETUNREACH:
    case ERRNO.ENETDOWN:
    case ERRNO.EADDRNOTAVAIL:
    case ERRNO.EAFNOSUPPORT:
      return family === 4 ? UNREACHABLE.NET : UNREACHABLE6.NO_ROUTE;
    case ERRNO.EACCES:
    case ERRNO.EPERM:
      return family === 4 ? UNREACHABLE.PROHIBITED : UNREACHABLE6.PROHIBITED;
    case ERRNO.EPROTONOSUPPORT:
      return family === 4 ? UNREACHABLE.PROTOCOL : -1;
    case ERRNO.EMSGSIZE:
      return family === 4 ? UNREACHABLE.FRAGMENTATION_NEEDED : 0;
    default:
      return -1;
  }
}
