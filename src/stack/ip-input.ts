/**
 * Packets from the guest up to their transport: headers checked, options and extension headers passed over, fragments
 * joined, senders that can't be on this wire dropped.
 */
import { ETHERNET, isGroupMac } from "../wire/ethernet.ts";
import { TIME_EXCEEDED } from "../wire/icmp.ts";
import { PARAMETER6 } from "../wire/icmpv6.ts";
import { checkIPv4, IPV4, PROTOCOL } from "../wire/ipv4.ts";
import { checkIPv6, EXTENSION, FRAGMENT, IPV6 } from "../wire/ipv6.ts";
import { DHCP_SERVER_PORT } from "./dhcp-server.ts";
import { ERRNO } from "./errno.ts";
import type { IcmpErrors } from "./icmp-errors.ts";
import type { Neighbours } from "./neighbours.ts";
import { Packet } from "./packet.ts";
import type { Policy } from "./policy.ts";
import { FRAGMENT_RESULT, type Reassembly } from "./reassembly.ts";

/** Extension headers that one packet may have; honest ones have two or three. */
const MOST_EXTENSIONS = 8;
/** Loose and strict source route (RFC 791, 3.1): a way round every rule, dropped (RFC 7126, 4.3 and 4.4). */
const SOURCE_ROUTES = [131, 137];

/** Whom packets go up to. */
export interface Transport {
  input(now: number, packet: Packet): void;
}

/** What is not there takes packets without a word. */
export interface Transports {
  tcp?: Transport | undefined;
  udp?: Transport | undefined;
  /** ICMP over IPv4, ICMPv6 over IPv6. */
  icmp: Transport;
}

export class IpInput {
  readonly #policy: Policy;
  readonly #neighbours: Neighbours;
  readonly #errors: IcmpErrors;
  readonly #reassembly: Reassembly;
  readonly #up: Transports;
  readonly #packet = new Packet();
  /** Where, from the IPv6 header on, it says what lies at `transport`. */
  #field = 0;
  /** Told of each sender that is new. */
  readonly #heard: () => void;

  constructor(
    policy: Policy,
    neighbours: Neighbours,
    errors: IcmpErrors,
    reassembly: Reassembly,
    up: Transports,
    heard: () => void,
  ) {
    this.#policy = policy;
    this.#neighbours = neighbours;
    this.#errors = errors;
    this.#reassembly = reassembly;
    this.#up = up;
    this.#heard = heard;
  }

  /** The frame that begins at `start` and ends at `end` holds an IPv4 packet. */
  input4(
    now: number,
    buffer: Uint8Array<ArrayBuffer>,
    view: DataView<ArrayBuffer>,
    start: number,
    end: number,
    trusted: boolean,
    segmentSize: number,
  ): void {
    const ip = start + ETHERNET.HEADER;
    const header = checkIPv4(view, buffer, ip, end);
    if (header < 0 || (header > IPV4.HEADER && hasSourceRoute(buffer, ip, header))) return;
    const packet = this.#fill(4, buffer, view, ip, trusted, segmentSize);
    packet.source = ip + IPV4.SOURCE;
    packet.destination = ip + IPV4.DESTINATION;
    packet.protocol = buffer[ip + IPV4.PROTOCOL]!;
    packet.hops = buffer[ip + IPV4.TTL]!;
    packet.transport = ip + header;
    packet.end = ip + view.getUint16(ip + IPV4.TOTAL_LENGTH);
    if (packet.hops === 0 || !this.#admits(packet, start)) return;
    const word = view.getUint16(ip + IPV4.FRAGMENT);
    if (word & (IPV4.MORE_FRAGMENTS | IPV4.OFFSET_MASK)) {
      const identification = view.getUint16(ip + IPV4.IDENTIFICATION);
      const offset = (word & IPV4.OFFSET_MASK) * 8;
      const more = (word & IPV4.MORE_FRAGMENTS) !== 0;
      if (this.#reassembly.add(now, packet, identification, offset, more) !== FRAGMENT_RESULT.WHOLE) return;
    }
    this.#deliver(now, packet);
  }

  /** As `input4`, for IPv6. */
  input6(
    now: number,
    buffer: Uint8Array<ArrayBuffer>,
    view: DataView<ArrayBuffer>,
    start: number,
    end: number,
    trusted: boolean,
    segmentSize: number,
  ): void {
    const ip = start + ETHERNET.HEADER;
    if (!checkIPv6(view, ip, end)) return;
    const packet = this.#fill(6, buffer, view, ip, trusted, segmentSize);
    packet.source = ip + IPV6.SOURCE;
    packet.destination = ip + IPV6.DESTINATION;
    packet.protocol = buffer[ip + IPV6.NEXT_HEADER]!;
    packet.hops = buffer[ip + IPV6.HOP_LIMIT]!;
    packet.transport = ip + IPV6.HEADER;
    packet.end = packet.transport + view.getUint16(ip + IPV6.PAYLOAD_LENGTH);
    if (packet.hops === 0 || !this.#admits(packet, start)) return;
    if (this.#passExtensions(now, packet)) this.#deliver(now, packet);
  }

  #fill(
    family: 4 | 6,
    buffer: Uint8Array<ArrayBuffer>,
    view: DataView<ArrayBuffer>,
    ip: number,
    trusted: boolean,
    segmentSize: number,
  ): Packet {
    const packet = this.#packet;
    packet.buffer = buffer;
    packet.view = view;
    packet.family = family;
    packet.ip = ip;
    packet.trusted = trusted;
    packet.segmentSize = segmentSize;
    return packet;
  }

  /** Whether such a sender and receiver may be on this wire; the sender's hardware address is learnt. */
  #admits(packet: Packet, frame: number): boolean {
    const { family, buffer, source, destination } = packet;
    const toGroup = isGroupMac(buffer, frame + ETHERNET.DESTINATION);
    // A packet for one receiver in a frame for all (RFC 1122, 3.3.6).
    if (toGroup && this.#policy.isRoutable(family, buffer, destination)) return false;
    if (this.#policy.isGuest(family, buffer, source)) {
      if (this.#neighbours.learn(buffer, frame + ETHERNET.SOURCE, family, source)) this.#heard();
      return true;
    }
    return isUnspecified(family, buffer, source) && this.#isFromNobody(packet);
  }

  /** Only who asks for an address has none: DHCP, and ND's look for duplicates and routers. */
  #isFromNobody(packet: Packet): boolean {
    if (packet.family === 6) return packet.protocol === PROTOCOL.ICMPV6;
    return (
      packet.protocol === PROTOCOL.UDP &&
      packet.transport + 4 <= packet.end &&
      packet.view.getUint16(packet.transport + 2) === DHCP_SERVER_PORT
    );
  }

  /** Moves `transport` behind all extension headers (RFC 8200, 4); false when nothing goes up. */
  #passExtensions(now: number, packet: Packet): boolean {
    let field = packet.ip + IPV6.NEXT_HEADER;
    for (let count = 0; count <= MOST_EXTENSIONS; count++) {
      const { protocol, transport, end, view, buffer } = packet;
      const isOptions = protocol === EXTENSION.HOP_BY_HOP || protocol === EXTENSION.DESTINATION;
      this.#field = field - packet.ip;
      if (!isOptions && protocol !== EXTENSION.ROUTING && protocol !== EXTENSION.FRAGMENT)
        return protocol !== EXTENSION.NONE;
      if (protocol === EXTENSION.HOP_BY_HOP && count > 0) {
        this.#errors.parameterProblem(now, packet, PARAMETER6.NEXT_HEADER, this.#field);
        return false;
      }
      if (transport + 8 > end) return false;
      if (protocol === EXTENSION.FRAGMENT) {
        if (!this.#joinFragment(now, packet)) return false;
        field = packet.ip + IPV6.NEXT_HEADER;
        continue;
      }
      const size = 8 + buffer[transport + 1]! * 8;
      if (transport + size > end) return false;
      if (isOptions && !this.#passOptions(now, packet, transport + 2, transport + size)) return false;
      if (protocol === EXTENSION.ROUTING && buffer[transport + 3] !== 0) {
        // Segments left of a kind we don't follow (section 4.4; type 0 is no more: RFC 5095).
        this.#errors.parameterProblem(now, packet, PARAMETER6.HEADER_FIELD, transport + 2 - packet.ip);
        return false;
      }
      field = transport;
      packet.protocol = view.getUint8(transport);
      packet.transport = transport + size;
    }
    return false;
  }

  #joinFragment(now: number, packet: Packet): boolean {
    const { view, transport, ip } = packet;
    const word = view.getUint16(transport + FRAGMENT.OFFSET);
    const identification = view.getUint32(transport + FRAGMENT.IDENTIFICATION);
    packet.protocol = view.getUint8(transport + FRAGMENT.NEXT_HEADER);
    packet.transport = transport + FRAGMENT.HEADER;
    packet.trusted = false;
    const more = (word & FRAGMENT.MORE) !== 0;
    const offset = word & FRAGMENT.MASK;
    // A fragment that is the whole packet is nobody else's (RFC 6946).
    if (offset === 0 && !more) return true;
    const result = this.#reassembly.add(now, packet, identification, offset, more);
    if (result === FRAGMENT_RESULT.BAD_LENGTH)
      this.#errors.parameterProblem(now, packet, PARAMETER6.HEADER_FIELD, IPV6.PAYLOAD_LENGTH);
    if (result === FRAGMENT_RESULT.TOO_LONG)
      this.#errors.parameterProblem(now, packet, PARAMETER6.HEADER_FIELD, transport + FRAGMENT.OFFSET - ip);
    return result === FRAGMENT_RESULT.WHOLE;
  }

  /** Options that nobody knows say themselves what to do with the packet (RFC 8200, 4.2). */
  #passOptions(now: number, packet: Packet, from: number, to: number): boolean {
    const { buffer, ip, destination } = packet;
    let at = from;
    while (at < to) {
      const type = buffer[at]!;
      if (type === 0) {
        at++;
        continue;
      }
      if (at + 2 > to || at + 2 + buffer[at + 1]! > to) return false;
      const action = type >>> 6;
      if (action !== 0) {
        if (action === 2 || (action === 3 && buffer[destination] !== 0xff))
          this.#errors.parameterProblem(now, packet, PARAMETER6.OPTION, at - ip);
        return false;
      }
      at += 2 + buffer[at + 1]!;
    }
    return true;
  }

  /** To the other side of the router that we are; one hop ends here. */
  #isForwarded(packet: Packet): boolean {
    const { family, buffer, destination } = packet;
    return (
      this.#policy.isRoutable(family, buffer, destination) &&
      this.#policy.isBeyond(family, buffer, destination)
    );
  }

  #deliver(now: number, packet: Packet): void {
    if (packet.hops === 1 && this.#isForwarded(packet)) {
      this.#errors.timeExceeded(now, packet, TIME_EXCEEDED.HOPS);
      return;
    }
    switch (packet.protocol) {
      case PROTOCOL.TCP:
        this.#up.tcp?.input(now, packet);
        return;
      case PROTOCOL.UDP:
        this.#up.udp?.input(now, packet);
        return;
      case packet.family === 4 ? PROTOCOL.ICMP : PROTOCOL.ICMPV6:
        this.#up.icmp.input(now, packet);
        return;
      default:
        if (packet.family === 4) this.#errors.answer(now, packet, ERRNO.EPROTONOSUPPORT);
        else this.#errors.parameterProblem(now, packet, PARAMETER6.NEXT_HEADER, this.#field);
    }
  }
}

/** True for options that name a route, and for options that run past the header. */
function hasSourceRoute(buffer: Uint8Array, ip: number, header: number): boolean {
  let at = ip + IPV4.HEADER;
  const end = ip + header;
  while (at < end && buffer[at] !== 0) {
    if (buffer[at] === 1) {
      at++;
      continue;
    }
    if (at + 2 > end || buffer[at + 1]! < 2 || at + buffer[at + 1]! > end) return true;
    if (SOURCE_ROUTES.includes(buffer[at]!)) return true;
    at += buffer[at + 1]!;
  }
  return false;
}

function isUnspecified(family: 4 | 6, buffer: Uint8Array, start: number): boolean {
  const size = family === 4 ? 4 : 16;
  for (let index = 0; index < size; index++) if (buffer[start + index] !== 0) return false;
  return true;
}
