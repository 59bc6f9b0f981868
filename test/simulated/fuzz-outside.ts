/**
 * Sockets that behave at random, for the fuzzer: they take some, all or nothing, bring anything and fail as they like.
 * Every call is checked: its handle is open, its bytes lie in their buffer, its frame is one that a device can take.
 */
import type { Endpoint } from "../../src/stack/endpoint.ts";
import { ERRNO } from "../../src/stack/errno.ts";
import type { Destination, Handle, OutFrame, Outside } from "../../src/stack/outside.ts";
import { endpoint, GUEST4, GUEST6, icmp } from "../support/guest.ts";
import type { Random } from "./random.ts";

const ERRORS = [
  ERRNO.EAGAIN,
  ERRNO.EAGAIN,
  ERRNO.EAGAIN,
  ERRNO.ECONNREFUSED,
  ERRNO.EHOSTUNREACH,
  ERRNO.ENETUNREACH,
  ERRNO.ECONNRESET,
  ERRNO.ETIMEDOUT,
  ERRNO.EMSGSIZE,
  ERRNO.ENOBUFS,
  ERRNO.EACCES,
];
const OPENING_ERRORS = [ERRNO.EMFILE, ERRNO.ENETUNREACH, ERRNO.EACCES, ERRNO.ENOBUFS];
const CLIENTS = ["198.51.100.9:7000", "127.0.0.1:7000", "[2001:db8::9]:7000", "[::1]:7000"].map(endpoint);
const KEPT = 64;
const SYN_FIN = 3;
/** Of segments that answer; 0 stands for any. */
const FLAGS = [0x10, 0x10, 0x10, 0x18, 0x18, 0x11, 0x19, 0x14, 0x04, 0x12, 0x02, 0];
/** Kind and length of the time stamps' option. */
const STAMPS = 0x080a;

interface Segment {
  family: 4 | 6;
  header: Uint8Array;
  /** Sequence numbers that the segment covers. */
  length: number;
}

export class FuzzOutside implements Outside {
  /** Handles that are open. */
  readonly open: Handle[] = [];
  /** Any bytes. */
  readonly data: Uint8Array<ArrayBuffer> = new Uint8Array(new ArrayBuffer(65_536));
  opened = 0;
  mostOpen = 0;
  emitted = 0;
  questions = 0;
  mtu = 1500;
  readonly #random: Random;
  /** Where in `open` a handle stands; -1 once it is closed. */
  readonly #places: number[] = [];
  readonly #udp: boolean[] = [];
  /** The last TCP segments sent, to be answered. */
  readonly #segments: Segment[] = [];

  constructor(random: Random) {
    this.#random = random;
    for (let at = 0; at < this.data.length; at++) this.data[at] = random.below(256);
  }

  emit(frame: OutFrame): void {
    const { header, headerStart, headerLength, payload, payloadStart, payloadLength, checksumStart } = frame;
    this.emitted++;
    const sound =
      headerStart >= 16 &&
      headerLength >= 34 &&
      headerStart + headerLength <= header.length &&
      payloadStart >= 0 &&
      payloadLength >= 0 &&
      (payloadLength === 0 || payloadStart + payloadLength <= payload.length) &&
      (checksumStart === 0 || checksumStart + frame.checksumOffset + 2 <= headerLength);
    if (!sound)
      throw new Error(`a frame that is none: ${JSON.stringify({ ...frame, header: 0, payload: 0 })}`);
    const length = headerLength + payloadLength - 14;
    if (length > (frame.segmentSize ? 65_535 + 40 : this.mtu)) throw new Error(`a packet of ${length} bytes`);
    const v4 = frame.family === 4;
    if (header[headerStart + (v4 ? 23 : 20)] === 6) this.#keep(frame);
  }

  connectTcp(_to: Destination): Handle {
    return this.#opening(false);
  }

  openUdp(to: Destination, guestKey: string): Handle {
    if (!guestKey || to.kind === "dns") throw new Error("openUdp without sense");
    return this.#opening(true);
  }

  openPing(_to: Destination): Handle {
    return this.#opening(true);
  }

  /** An accepted connection. */
  accept(): Handle {
    return this.#add(false);
  }

  send(handle: Handle, buffer: Uint8Array<ArrayBuffer>, start: number, length: number): number {
    this.#check(handle, buffer, start, length);
    if (this.#random.below(8) === 0) return -this.#random.pick(ERRORS);
    return this.#udp[handle] ? length : 1 + this.#random.below(length);
  }

  receive(handle: Handle, buffer: Uint8Array<ArrayBuffer>, start: number, length: number): number {
    this.#check(handle, buffer, start, length);
    const random = this.#random;
    if (random.below(3) === 0) return -random.pick(ERRORS);
    if (random.below(32) === 0) return 0;
    const size = Math.min(length, random.below(random.below(8) === 0 ? 65_536 : 2000));
    buffer.set(this.data.subarray(0, size), start);
    if (this.#udp[handle] && size > 0 && random.below(2) === 0) buffer[start] = random.pick([0, 129]);
    return size;
  }

  sendTo(
    handle: Handle,
    to: Destination,
    buffer: Uint8Array<ArrayBuffer>,
    start: number,
    length: number,
  ): number {
    if (handle < 1_000_000 || to.address.length !== (to.family === 4 ? 4 : 16))
      throw new Error("sendTo nobody");
    if (start < 0 || length < 0 || start + length > buffer.length) throw new Error("sendTo out of bounds");
    return this.#random.below(8) === 0 ? -this.#random.pick(ERRORS) : length;
  }

  takeError(handle: Handle): number {
    this.#check(handle, this.data, 0, 0);
    return this.#random.below(2) === 0 ? 0 : this.#random.pick(ERRORS);
  }

  pathMtu(handle: Handle): number {
    this.#check(handle, this.data, 0, 0);
    return this.#random.pick([0, 68, 1280, 1500, 65_535]);
  }

  shutdownWrite(handle: Handle): void {
    this.#check(handle, this.data, 0, 0);
  }

  close(handle: Handle): void {
    this.#check(handle, this.data, 0, 0);
    const place = this.#places[handle]!;
    const last = this.open.pop()!;
    if (last !== handle) {
      this.open[place] = last;
      this.#places[last] = place;
    }
    this.#places[handle] = -1;
  }

  reset(handle: Handle): void {
    this.close(handle);
  }

  dnsQuery(token: number, message: Uint8Array): void {
    if (message.length < 12) throw new Error("a question without a header");
    this.questions = token + 1;
  }

  client(): Endpoint {
    const one = this.#random.pick(CLIENTS);
    return { ...one, port: one.port + this.#random.below(40) };
  }

  guest(family: 4 | 6): Endpoint {
    return endpoint(family === 4 ? `10.0.2.100:${80 + this.#random.below(3)}` : "[fd00::64]:80");
  }

  /** Writes a frame that answers one of the stack's last segments, much as a guest's TCP would; gives its length. */
  answerTcp(buffer: Uint8Array<ArrayBuffer>, view: DataView<ArrayBuffer>): number {
    const random = this.#random;
    if (this.#segments.length === 0) return 0;
    const { family, header, length } = random.pick(this.#segments);
    const size = family === 4 ? 20 : 40;
    const at = 14 + size;
    buffer.set(header.subarray(0, at + 20));
    buffer.set(header.subarray(6, 12), 0);
    buffer.set([2, 0, 0, 0, 0, 9], 6);
    const address = family === 4 ? 26 : 22;
    const width = family === 4 ? 4 : 16;
    buffer.set(header.subarray(address + width, address + 2 * width), address);
    buffer.set(header.subarray(address, address + width), address + width);
    const theirs = new DataView(header.buffer);
    view.setUint16(at, theirs.getUint16(at + 2));
    view.setUint16(at + 2, theirs.getUint16(at));
    const step = random.below(4) === 0 ? random.below(3000) - 1000 : 0;
    view.setUint32(at + 4, (theirs.getUint32(at + 8) + step) >>> 0);
    const acknowledged = random.below(8) === 0 ? random.below(length + 2) : length;
    view.setUint32(at + 8, (theirs.getUint32(at + 4) + acknowledged) >>> 0);
    buffer[at + 13] = random.pick(FLAGS) || random.below(256);
    view.setUint16(at + 14, random.pick([0, 1, 500, 65_535]));
    view.setUint32(at + 16, 0);
    const options = this.#putOptions(theirs, at, buffer, view);
    buffer[at + 12] = ((20 + options) / 4) << 4;
    const data = random.below(2) === 0 ? 0 : random.below(random.below(8) === 0 ? 40_000 : 1460);
    buffer.set(this.data.subarray(0, data), at + 20 + options);
    if (family === 4) view.setUint16(16, 40 + options + data);
    else view.setUint16(18, 20 + options + data);
    return at + 20 + options + data;
  }

  /** Echoes the time stamp that the segment at `at` of `theirs` has, and often speaks of data that came out of order. */
  #putOptions(theirs: DataView, at: number, buffer: Uint8Array, view: DataView): number {
    const random = this.#random;
    let size = 0;
    const header = at + (theirs.getUint8(at + 12) >> 4) * 4;
    for (let option = at + 20; option + 10 <= header; option++) {
      if (theirs.getUint16(option) !== STAMPS) continue;
      view.setUint32(at + 20, 0x01010000 | STAMPS);
      view.setUint32(at + 24, (theirs.getUint32(option + 6) + random.below(3)) >>> 0);
      view.setUint32(at + 28, theirs.getUint32(option + 2));
      size = 12;
      break;
    }
    if (random.below(3) > 0) return size;
    buffer.set([1, 1, 5, 10], at + 20 + size);
    const left = (view.getUint32(at + 8) + random.below(6) * 1460) >>> 0;
    view.setUint32(at + 24 + size, left);
    view.setUint32(at + 28 + size, (left + random.below(4) * 1460) >>> 0);
    return size + 12;
  }

  /** Writes an ICMP error of the guest's about one of the stack's last segments; gives the frame's length. */
  complain(buffer: Uint8Array<ArrayBuffer>): number {
    const random = this.#random;
    if (this.#segments.length === 0) return 0;
    const { family, header } = random.pick(this.#segments);
    const quote = header.subarray(14);
    const six = family === 6;
    const rest = random.pick([0, 68, 600, 1200, 1400, 65_535]);
    const [type, code] = six
      ? random.pick([
          [2, 0],
          [1, 4],
          [1, 0],
        ] as const)
      : random.pick([
          [3, 4],
          [3, 3],
          [3, 1],
        ] as const);
    const guest = six ? GUEST6 : GUEST4;
    const frame = icmp(guest, six ? "fd00::2" : "10.0.2.2", type, code, rest, quote);
    buffer.set(frame);
    return frame.length;
  }

  #keep(frame: OutFrame): void {
    const header = frame.header.slice(frame.headerStart, frame.headerStart + frame.headerLength);
    const transport = frame.family === 4 ? 34 : 54;
    if (header.length < transport + 20) return;
    const flags = header[transport + 13]! & SYN_FIN;
    const length = frame.payloadLength + (flags & 1) + (flags >> 1);
    const segment = { family: frame.family, header, length };
    if (this.#segments.length < KEPT) this.#segments.push(segment);
    else this.#segments[this.emitted % KEPT] = segment;
  }

  #opening(isDatagram: boolean): Handle {
    if (this.#random.below(16) === 0) return -this.#random.pick(OPENING_ERRORS);
    return this.#add(isDatagram);
  }

  #add(isDatagram: boolean): Handle {
    const handle = this.opened++;
    this.#places[handle] = this.open.length;
    this.#udp[handle] = isDatagram;
    this.open.push(handle);
    this.mostOpen = Math.max(this.mostOpen, this.open.length);
    return handle;
  }

  #check(handle: Handle, buffer: Uint8Array, start: number, length: number): void {
    if ((this.#places[handle] ?? -1) < 0) throw new Error(`handle ${handle} is not open`);
    if (start < 0 || length < 0 || start + length > buffer.length)
      throw new Error(`${length} bytes from ${start} in a buffer of ${buffer.length}`);
  }
}
