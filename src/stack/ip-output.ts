/**
 * Packets on their way to the guest: Ethernet and IP headers, checksums, fragments.
 *
 * One packet at a time: `begin` writes the headers, the caller writes the transport's header behind them and points
 * `frame` at the payload, `send` seals and emits. Nothing is allocated, nothing of it is kept.
 */
import { addBytes, checksum, fold, pseudoHeader } from "../wire/checksum.ts";
import { ETHERNET, ETHERTYPE, putMac } from "../wire/ethernet.ts";
import { IPV4, PROTOCOL, putIPv4, sealIPv4 } from "../wire/ipv4.ts";
import { EXTENSION, FRAGMENT, IPV6, putFragmentHeader, putIPv6 } from "../wire/ipv6.ts";
import type { StackConfig } from "./config.ts";
import type { Neighbours } from "./neighbours.ts";
import { OutFrame, type Outside } from "./outside.ts";

/** Hops that our packets may live (the Assigned Numbers' default, RFC 1700); nothing of it is used up before the guest. */
const HOPS = 64;
const MAX_PACKET = 65_535;

/** What happens to a frame whose receiver's hardware address is not known yet. */
export interface Parking {
  /** Copies `frame`, asks the wire for `address`, and emits the copy when it answers. */
  park(frame: OutFrame, family: 4 | 6, address: Uint8Array, start: number): void;
}

export class IpOutput {
  readonly frame = new OutFrame();
  /** Over `frame.header`'s buffer. */
  readonly view = new DataView(this.frame.header.buffer);
  readonly #config: StackConfig;
  readonly #outside: Outside;
  readonly #neighbours: Neighbours;
  readonly #parking: Parking;
  #ip = 0;
  #protocol = 0;
  #transport = 0;
  #resolved = true;
  #identification: number;

  constructor(config: StackConfig, outside: Outside, neighbours: Neighbours, parking: Parking) {
    this.#config = config;
    this.#outside = outside;
    this.#neighbours = neighbours;
    this.#parking = parking;
    // Not to be guessed from outside (RFC 7739); one wire, one counter.
    this.#identification = new DataView(config.secret.buffer, config.secret.byteOffset).getUint32(12);
  }

  /**
   * Begins a packet between two addresses of 4 or 16 bytes. Gives the offset in `frame.header` at which the transport's
   * header is to be written; `frame.payloadLength` is 0 again.
   */
  begin(
    family: 4 | 6,
    protocol: number,
    source: Uint8Array,
    sourceStart: number,
    destination: Uint8Array,
    destinationStart: number,
  ): number {
    const { frame, view } = this;
    const at = frame.headerStart;
    const ip = at + ETHERNET.HEADER;
    frame.family = family;
    frame.payloadLength = 0;
    this.#ip = ip;
    this.#protocol = protocol;
    putMac(view, at + ETHERNET.SOURCE, this.#config.mac, 0);
    if (family === 4) {
      view.setUint16(at + ETHERNET.TYPE, ETHERTYPE.IPV4);
      // TCP's packets are atomic (RFC 6864): nobody needs to tell them apart.
      if (protocol === PROTOCOL.TCP) putIPv4(view, ip, 0, IPV4.DONT_FRAGMENT, HOPS, protocol);
      else putIPv4(view, ip, this.#nextIdentification() & 0xffff, 0, HOPS, protocol);
      copy(frame.header, ip + IPV4.SOURCE, source, sourceStart, 4);
      copy(frame.header, ip + IPV4.DESTINATION, destination, destinationStart, 4);
      this.#transport = ip + IPV4.HEADER;
    } else {
      view.setUint16(at + ETHERNET.TYPE, ETHERTYPE.IPV6);
      putIPv6(view, ip, protocol, HOPS);
      copy(frame.header, ip + IPV6.SOURCE, source, sourceStart, 16);
      copy(frame.header, ip + IPV6.DESTINATION, destination, destinationStart, 16);
      this.#transport = ip + IPV6.HEADER;
    }
    this.#address(family, destination, destinationStart);
    return this.#transport;
  }

  /** Sends the packet that was begun to this hardware address, whoever else is known. */
  to(mac: Uint8Array, start: number): void {
    putMac(this.view, this.frame.headerStart, mac, start);
    this.#resolved = true;
  }

  /** Lets the packet live for other than the default of 64 hops (ND wants 255). */
  hops(hops: number): void {
    this.view.setUint8(this.#ip + (this.frame.family === 4 ? IPV4.TTL : IPV6.HOP_LIMIT), hops);
  }

  /**
   * Seals and emits what was begun. `transportLength`: bytes of the transport's header; `checksumOffset`: where in it the
   * checksum lies, -1 for none; `segmentSize`: bytes of TCP payload to a segment when the frame stands for several, else 0.
   * What is larger than the MTU goes in fragments; what no IP packet can hold is dropped.
   */
  send(transportLength: number, checksumOffset: number, segmentSize: number): void {
    const { frame } = this;
    const ipHeader = this.#transport - this.#ip;
    const length = transportLength + frame.payloadLength;
    if ((frame.family === 4 ? ipHeader + length : length) > MAX_PACKET) return;
    const fragmented = ipHeader + length > this.#config.mtu && segmentSize === 0;
    frame.headerLength = this.#transport + transportLength - frame.headerStart;
    frame.segmentSize = segmentSize;
    frame.checksumStart = 0;
    frame.checksumOffset = 0;
    if (checksumOffset >= 0) this.#sum(transportLength, checksumOffset, !fragmented);
    if (fragmented) this.#fragment(transportLength);
    else {
      this.#seal(length);
      this.#emit();
    }
  }

  #sum(transportLength: number, checksumOffset: number, mayBePartial: boolean): void {
    const { frame, view } = this;
    const field = this.#transport + checksumOffset;
    const length = transportLength + frame.payloadLength;
    const protocol = this.#protocol;
    view.setUint16(field, 0);
    let sum = 0;
    if (protocol !== PROTOCOL.ICMP) {
      const source = this.#ip + (frame.family === 4 ? IPV4.SOURCE : IPV6.SOURCE);
      const size = frame.family === 4 ? 4 : 16;
      sum = pseudoHeader(frame.header, source, source + size, frame.family, protocol, length);
    }
    if (mayBePartial && this.#config.offload && (protocol === PROTOCOL.TCP || protocol === PROTOCOL.UDP)) {
      view.setUint16(field, fold(sum));
      frame.checksumStart = this.#transport - frame.headerStart;
      frame.checksumOffset = checksumOffset;
      return;
    }
    sum = addBytes(sum, frame.header, this.#transport, transportLength);
    sum = addBytes(sum, frame.payload, frame.payloadStart, frame.payloadLength);
    const value = checksum(sum);
    // Zero says "no checksum" in UDP (RFC 768); what comes out as zero is sent as its other representation.
    view.setUint16(field, value === 0 && protocol === PROTOCOL.UDP ? 0xffff : value);
  }

  /** `length`: bytes after the IP header. */
  #seal(length: number): void {
    const { frame, view } = this;
    if (frame.family === 4) sealIPv4(view, frame.header, this.#ip, IPV4.HEADER + length);
    else view.setUint16(this.#ip + IPV6.PAYLOAD_LENGTH, length);
  }

  #fragment(transportLength: number): void {
    const { frame, view } = this;
    const { payloadStart: start, payloadLength: total } = frame;
    const v6 = frame.family === 6;
    const extra = v6 ? FRAGMENT.HEADER : 0;
    const room = (this.#config.mtu - (this.#transport - this.#ip) - extra) & ~7;
    const identification = this.#nextIdentification();
    if (v6) {
      frame.header.copyWithin(this.#transport + extra, this.#transport, this.#transport + transportLength);
      view.setUint8(this.#ip + IPV6.NEXT_HEADER, EXTENSION.FRAGMENT);
    } else view.setUint16(this.#ip + IPV4.IDENTIFICATION, identification & 0xffff);
    for (let sent = 0, offset = 0; offset < transportLength + total; ) {
      const head = offset === 0 ? transportLength : 0;
      const size = Math.min(room - head, total - sent);
      const more = sent + size < total;
      if (v6) putFragmentHeader(view, this.#transport, this.#protocol, offset, more, identification);
      else view.setUint16(this.#ip + IPV4.FRAGMENT, (more ? IPV4.MORE_FRAGMENTS : 0) | (offset >>> 3));
      frame.headerLength = this.#transport + extra + head - frame.headerStart;
      frame.payloadStart = start + sent;
      frame.payloadLength = size;
      this.#seal(extra + head + size);
      this.#emit();
      sent += size;
      offset += head + size;
    }
    frame.payloadStart = start;
    frame.payloadLength = total;
  }

  #emit(): void {
    const { frame } = this;
    if (this.#resolved) this.#outside.emit(frame);
    else {
      const v4 = frame.family === 4;
      const address = this.#ip + (v4 ? IPV4.DESTINATION : IPV6.DESTINATION);
      this.#parking.park(frame, frame.family, frame.header, address);
    }
  }

  /** Writes the receiver's hardware address, by rule for groups (RFC 1112, 6.4; RFC 2464, 7), else from the neighbours. */
  #address(family: 4 | 6, destination: Uint8Array, start: number): void {
    const { view } = this;
    const at = this.frame.headerStart;
    const first = destination[start]!;
    this.#resolved = true;
    if (family === 6 && first === 0xff) {
      view.setUint16(at, 0x3333);
      copy(this.frame.header, at + 2, destination, start + 12, 4);
      return;
    }
    if (family === 4 && first >= 0xe0) {
      if (first < 0xf0) {
        view.setUint32(at, 0x01005e00 | (destination[start + 1]! & 0x7f));
        view.setUint16(at + 4, (destination[start + 2]! << 8) | destination[start + 3]!);
      } else {
        view.setUint32(at, 0xffffffff);
        view.setUint16(at + 4, 0xffff);
      }
      return;
    }
    const mac = this.#neighbours.find(destination, family, start);
    if (mac < 0) this.#resolved = false;
    else putMac(view, at, this.#neighbours.macs, mac);
  }

  #nextIdentification(): number {
    this.#identification = (this.#identification + 1) >>> 0;
    return this.#identification;
  }
}

/** So short that `set` with a subarray would cost more than it moves. */
function copy(to: Uint8Array, at: number, from: Uint8Array, start: number, length: number): void {
  for (let index = 0; index < length; index++) to[at + index] = from[start + index]!;
}
