/**
 * Fragments until they are whole packets, of both versions.
 *
 * Each packet under way has a buffer of its own, large enough for any; there are as many as the budget allows, they are
 * used again, the oldest gives way, and a minute after the last use they are given back. What has come is kept block by
 * block (eight bytes, the unit of offsets), so neither the order nor the number of fragments costs anything. Fragments
 * that overlap void the packet (RFC 8200, 4.5; RFC 5722), in IPv4 as well; the same bytes a second time do not.
 */
import { TIME_EXCEEDED } from "../wire/icmp.ts";
import { IPV4, PROTOCOL, putIPv4, sealIPv4 } from "../wire/ipv4.ts";
import { IPV6, putIPv6 } from "../wire/ipv6.ts";
import type { IcmpErrors } from "./icmp-errors.ts";
import { Packet } from "./packet.ts";
import { Timer, type Timers } from "./timers.ts";

/** Room for an IP header before the data. */
const DATA = 64;
const MAX_DATA = 65_535;
const BLOCKS = 8192;
const SLOT_BYTES = DATA + MAX_DATA + 1 + BLOCKS;
/** The least and, but for IPv4's leave, the most that a host should wait (RFC 1122, 3.3.2; RFC 8200, 4.5). */
const TIMEOUT = 60_000;

/** What became of a fragment; the negative ones are faults of its header. */
export const FRAGMENT_RESULT = { KEPT: 0, WHOLE: 1, BAD_LENGTH: -1, TOO_LONG: -2 } as const;

class Slot {
  readonly buffer = new Uint8Array(new ArrayBuffer(DATA + MAX_DATA + 1));
  readonly view = new DataView(this.buffer.buffer);
  readonly have = new Uint8Array(BLOCKS);
  /** Source and destination. */
  readonly key = new Uint8Array(32);
  family: 4 | 6 = 4;
  identification = 0;
  protocol = 0;
  hops = 0;
  /** Bytes of data in the whole packet, -1 while the last fragment is missing. */
  total = -1;
  /** Blocks that have come. */
  blocks = 0;
  /** Bytes of the first fragment, 0 while it is missing. */
  first = 0;
  /** Infinity for a free slot. */
  deadline = Number.POSITIVE_INFINITY;
  /** Overlapped: whatever still comes of it is dropped until the deadline. */
  isVoid = false;
}

export class Reassembly {
  readonly #slots: Slot[] = [];
  readonly #most: number;
  readonly #timers: Timers;
  readonly #errors: IcmpErrors;
  readonly #timer = new Timer(now => this.#expire(now));
  readonly #packet = new Packet();

  /** `budget`: bytes for all packets under way; there is always room for one. */
  constructor(budget: number, timers: Timers, errors: IcmpErrors) {
    this.#most = Math.max(1, Math.floor(budget / SLOT_BYTES));
    this.#timers = timers;
    this.#errors = errors;
  }

  /** Bytes held. */
  get held(): number {
    return this.#slots.length * SLOT_BYTES;
  }

  /**
   * Takes the fragment of `packet` whose data lies from `packet.transport` to `packet.end` and whose protocol is
   * `packet.protocol`. `offset` counts bytes. When it made the packet WHOLE, `packet` is changed to that; it lies in
   * our buffer then, until the next fragment comes.
   */
  add(now: number, packet: Packet, identification: number, offset: number, more: boolean): number {
    const { buffer, transport } = packet;
    const length = packet.end - transport;
    if (more && (length === 0 || length % 8 !== 0)) return FRAGMENT_RESULT.BAD_LENGTH;
    if (offset + length > MAX_DATA - (packet.family === 4 ? IPV4.HEADER : 0)) return FRAGMENT_RESULT.TOO_LONG;
    const slot = this.#find(packet, identification) ?? this.#take(now, packet, identification);
    if (slot.isVoid) return FRAGMENT_RESULT.KEPT;
    const end = offset + length;
    const conflicting = more
      ? slot.total >= 0 && end > slot.total
      : (slot.total >= 0 && slot.total !== end) || slot.have.indexOf(1, (end + 7) >>> 3) >= 0;
    if (conflicting) return this.#annul(slot);
    const from = offset >>> 3;
    const to = (end + 7) >>> 3;
    let present = 0;
    for (let block = from; block < to; block++) present += slot.have[block]!;
    if (present > 0)
      return present === to - from && isSame(slot, packet, offset) ? FRAGMENT_RESULT.KEPT : this.#annul(slot);
    slot.buffer.set(buffer.subarray(transport, packet.end), DATA + offset);
    slot.have.fill(1, from, to);
    slot.blocks += to - from;
    if (!more) slot.total = end;
    if (offset === 0) {
      slot.first = length;
      slot.protocol = packet.protocol;
      slot.hops = packet.hops;
    }
    if (slot.total < 0 || slot.blocks !== (slot.total + 7) >>> 3) return FRAGMENT_RESULT.KEPT;
    this.#lay(packet, slot, slot.total);
    this.#release(slot);
    return FRAGMENT_RESULT.WHOLE;
  }

  #find(packet: Packet, identification: number): Slot | undefined {
    const { family, buffer, source, destination, protocol } = packet;
    const size = family === 4 ? 4 : 16;
    search: for (const slot of this.#slots) {
      if (slot.deadline === Number.POSITIVE_INFINITY || slot.identification !== identification) continue;
      // IPv6 tells its packets apart by addresses and identification alone.
      if (slot.family !== family || (family === 4 && slot.protocol !== protocol)) continue;
      for (let index = 0; index < size; index++)
        if (
          slot.key[index] !== buffer[source + index] ||
          slot.key[16 + index] !== buffer[destination + index]
        )
          continue search;
      return slot;
    }
    return undefined;
  }

  #take(now: number, packet: Packet, identification: number): Slot {
    const { family, buffer, source, destination } = packet;
    const size = family === 4 ? 4 : 16;
    let slot = this.#slots.find(one => one.deadline === Number.POSITIVE_INFINITY);
    if (!slot && this.#slots.length < this.#most) {
      slot = new Slot();
      this.#slots.push(slot);
    }
    slot ??= this.#slots.reduce((oldest, one) => (one.deadline < oldest.deadline ? one : oldest));
    slot.have.fill(0);
    slot.key.set(buffer.subarray(source, source + size));
    slot.key.set(buffer.subarray(destination, destination + size), 16);
    slot.family = family;
    slot.identification = identification;
    slot.protocol = packet.protocol;
    slot.total = -1;
    slot.blocks = 0;
    slot.first = 0;
    slot.isVoid = false;
    slot.deadline = now + TIMEOUT;
    if (this.#timer.due === Number.POSITIVE_INFINITY) this.#timers.set(this.#timer, slot.deadline);
    return slot;
  }

  #annul(slot: Slot): number {
    slot.isVoid = true;
    return FRAGMENT_RESULT.KEPT;
  }

  #release(slot: Slot): void {
    slot.deadline = Number.POSITIVE_INFINITY;
  }

  /** Puts a plain header before the data and makes `packet` that. */
  #lay(packet: Packet, slot: Slot, length: number): void {
    const { view, buffer, key, family } = slot;
    const header = family === 4 ? IPV4.HEADER : IPV6.HEADER;
    const ip = DATA - header;
    const source = ip + (family === 4 ? IPV4.SOURCE : IPV6.SOURCE);
    const size = family === 4 ? 4 : 16;
    if (family === 4) putIPv4(view, ip, slot.identification, 0, slot.hops, slot.protocol);
    else putIPv6(view, ip, slot.protocol, slot.hops);
    buffer.set(key.subarray(0, size), source);
    buffer.set(key.subarray(16, 16 + size), source + size);
    if (family === 4) sealIPv4(view, buffer, ip, header + length);
    else view.setUint16(ip + IPV6.PAYLOAD_LENGTH, length);
    packet.buffer = buffer;
    packet.view = view;
    packet.family = family;
    packet.ip = ip;
    packet.source = source;
    packet.destination = source + size;
    packet.protocol = slot.protocol;
    packet.hops = slot.hops;
    packet.transport = DATA;
    packet.end = DATA + length;
    packet.trusted = false;
    packet.segmentSize = 0;
  }

  #expire(now: number): void {
    let next = Number.POSITIVE_INFINITY;
    for (const slot of this.#slots) {
      if (slot.deadline <= now) {
        if (slot.first >= 8 && !slot.isVoid && canQuote(slot)) {
          this.#lay(this.#packet, slot, slot.first);
          this.#errors.timeExceeded(now, this.#packet, TIME_EXCEEDED.REASSEMBLY);
        }
        this.#release(slot);
      }
      next = Math.min(next, slot.deadline);
    }
    if (next < Number.POSITIVE_INFINITY) this.#timers.set(this.#timer, next);
    else this.#slots.length = 0;
  }
}

function isSame(slot: Slot, packet: Packet, offset: number): boolean {
  const { buffer, transport, end } = packet;
  for (let at = transport, kept = DATA + offset; at < end; at++, kept++)
    if (buffer[at] !== slot.buffer[kept]) return false;
  return true;
}

/** Extension headers may hide an error inside, which nobody answers. */
function canQuote(slot: Slot): boolean {
  const { protocol } = slot;
  return (
    protocol === PROTOCOL.UDP ||
    protocol === PROTOCOL.TCP ||
    protocol === (slot.family === 4 ? PROTOCOL.ICMP : PROTOCOL.ICMPV6)
  );
}
