/**
 * ICMP and ICMPv6 from the guest: echo to our own addresses is answered here, other echo goes out; errors about packets
 * of ours are told to the flow that they belong to.
 */
import { ICMP, ICMP_TYPE, putIcmp, UNREACHABLE } from "../wire/icmp.ts";
import { ICMPV6_TYPE } from "../wire/icmpv6.ts";
import { IPV4, PROTOCOL } from "../wire/ipv4.ts";
import { IPV6 } from "../wire/ipv6.ts";
import type { IpOutput } from "./ip-output.ts";
import type { NeighbourDiscovery } from "./neighbour-discovery.ts";
import type { Packet } from "./packet.ts";
import type { PingLayer } from "./ping.ts";
import type { Policy } from "./policy.ts";
import { isTransportSound } from "./sound.ts";

/** Bytes of the quoted transport's header that an error has at the least (RFC 792). */
const QUOTED = 8;

/** Who is told of errors that the guest sent about packets of ours. */
export interface ErrorListener {
  /**
   * `quote` is our packet as the guest quotes it; the offsets are of the peer's address, the guest's, and of the
   * transport's header, of which there are at least eight bytes. `mtu`: what fits, if that is the error, else 0.
   */
  guestError(
    now: number,
    family: 4 | 6,
    quote: Uint8Array,
    source: number,
    destination: number,
    transport: number,
    mtu: number,
  ): void;
}

export class IcmpLayer {
  readonly #output: IpOutput;
  readonly #policy: Policy;
  readonly #ping: PingLayer;
  readonly #discovery: NeighbourDiscovery;
  readonly #tcp: ErrorListener;
  readonly #udp: ErrorListener;
  /** Echo is not answered. */
  readonly #without: boolean;

  constructor(
    output: IpOutput,
    policy: Policy,
    ping: PingLayer,
    discovery: NeighbourDiscovery,
    tcp: ErrorListener,
    udp: ErrorListener,
    without: boolean,
  ) {
    this.#output = output;
    this.#policy = policy;
    this.#ping = ping;
    this.#discovery = discovery;
    this.#tcp = tcp;
    this.#udp = udp;
    this.#without = without;
  }

  input(now: number, packet: Packet): void {
    const { view, transport, end, family } = packet;
    const length = end - transport;
    if (length < ICMP.HEADER || !isTransportSound(packet, length)) return;
    const type = view.getUint8(transport);
    if (type === (family === 4 ? ICMP_TYPE.ECHO : ICMPV6_TYPE.ECHO)) this.#echo(now, packet);
    else if (family === 4) this.#error4(now, packet, type);
    else if (!this.#discovery.input(packet)) this.#error6(now, packet, type);
  }

  #echo(now: number, packet: Packet): void {
    const { family, buffer, source, destination, transport, end, view } = packet;
    // Somebody without an address can't be answered.
    if (this.#without || !this.#policy.isGuest(family, buffer, source)) return;
    if (!this.#policy.isOursAlone(family, buffer, destination)) {
      this.#ping.request(now, packet);
      return;
    }
    const output = this.#output;
    const protocol = family === 4 ? PROTOCOL.ICMP : PROTOCOL.ICMPV6;
    const at = output.begin(family, protocol, buffer, destination, buffer, source);
    const type = family === 4 ? ICMP_TYPE.ECHO_REPLY : ICMPV6_TYPE.ECHO_REPLY;
    putIcmp(output.view, at, type, 0, view.getUint32(transport + ICMP.IDENTIFIER));
    const { frame } = output;
    frame.payload = buffer;
    frame.payloadStart = transport + ICMP.HEADER;
    frame.payloadLength = end - transport - ICMP.HEADER;
    output.send(ICMP.HEADER, ICMP.CHECKSUM, 0);
  }

  #error4(now: number, packet: Packet, type: number): void {
    if (type !== ICMP_TYPE.UNREACHABLE) return;
    const { view, transport } = packet;
    const tooBig = view.getUint8(transport + ICMP.CODE) === UNREACHABLE.FRAGMENTATION_NEEDED;
    this.#tell(now, packet, tooBig ? view.getUint16(transport + ICMP.MTU) : 0);
  }

  #error6(now: number, packet: Packet, type: number): void {
    const { view, transport } = packet;
    if (type === ICMPV6_TYPE.TOO_BIG) this.#tell(now, packet, view.getUint32(transport + ICMP.IDENTIFIER));
    else if (type === ICMPV6_TYPE.UNREACHABLE) this.#tell(now, packet, 0);
  }

  /** Finds out what the error is about. Fragments and packets with extension headers are not what we send to flows. */
  #tell(now: number, packet: Packet, mtu: number): void {
    const { buffer, view, family, transport, end } = packet;
    const ip = transport + ICMP.HEADER;
    if (ip + (family === 4 ? IPV4.HEADER : IPV6.HEADER) + QUOTED > end) return;
    const first = buffer[ip]!;
    const header = family === 4 ? (first & 15) * 4 : IPV6.HEADER;
    if (first >> 4 !== family || header < IPV4.HEADER || ip + header + QUOTED > end) return;
    if (family === 4 && view.getUint16(ip + IPV4.FRAGMENT) & IPV4.OFFSET_MASK) return;
    const source = ip + (family === 4 ? IPV4.SOURCE : IPV6.SOURCE);
    const destination = ip + (family === 4 ? IPV4.DESTINATION : IPV6.DESTINATION);
    const protocol = buffer[ip + (family === 4 ? IPV4.PROTOCOL : IPV6.NEXT_HEADER)]!;
    const listener =
      protocol === PROTOCOL.TCP ? this.#tcp : protocol === PROTOCOL.UDP ? this.#udp : undefined;
    listener?.guestError(now, family, buffer, source, destination, ip + header, mtu);
  }
}
