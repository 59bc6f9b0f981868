/** A guest of a stack, for tests: makes frames as a kernel would, and shows the stack's frames as text. */

import type { StackConfig } from "../../src/stack/config.ts";
import type { Endpoint } from "../../src/stack/endpoint.ts";
import { Stack } from "../../src/stack/stack.ts";
import { formatIP, formatMac, parseIP, parseMac } from "../../src/wire/addr.ts";
import { addBytes, checksum, isSound, pseudoHeader } from "../../src/wire/checksum.ts";
import { configFor, RecordingOutside } from "./stack.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export const GUEST_MAC = "02:00:00:00:00:09";
export const GUEST4 = "10.0.2.100";
export const GUEST6 = "fd00::64";

/** The bytes one after the other; text is UTF-8. */
export function join(...parts: (Uint8Array | readonly number[] | string)[]): Bytes {
  const all = parts.map(part =>
    typeof part === "string" ? new TextEncoder().encode(part) : Uint8Array.from(part),
  );
  const bytes = new Uint8Array(new ArrayBuffer(all.reduce((sum, part) => sum + part.length, 0)));
  let at = 0;
  for (const part of all) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

export const u16 = (value: number) => [(value >> 8) & 0xff, value & 0xff];
export const u32 = (value: number) => [...u16(value >>> 16), ...u16(value)];
export const address = (text: string) => parseIP(text)!.bytes;

/** `"192.0.2.7:53"` or `"[fd00::1]:53"`. */
export function endpoint(text: string): Endpoint {
  const colon = text.lastIndexOf(":");
  const ip = parseIP(text.slice(0, colon).replace(/^\[|\]$/g, ""))!;
  return { family: ip.family, address: ip.bytes, port: Number(text.slice(colon + 1)) };
}

export interface FrameOptions {
  from?: string;
  to?: string;
}

export function ethernet(type: number, payload: Uint8Array, options: FrameOptions = {}): Bytes {
  return join(
    parseMac(options.to ?? "52:55:0a:00:02:02")!,
    parseMac(options.from ?? GUEST_MAC)!,
    u16(type),
    payload,
  );
}

export interface PacketOptions extends FrameOptions {
  ttl?: number;
  identification?: number;
  /** IPv4's field of flags and offset. */
  fragment?: number;
  /** IPv4 options, a multiple of four bytes. */
  options?: Uint8Array;
}

/** A frame with an IP packet of either version. */
export function packet(
  protocol: number,
  from: string,
  to: string,
  payload: Uint8Array,
  options: PacketOptions = {},
): Bytes {
  const { ttl = 64, identification = 0, fragment = 0, options: extra = new Uint8Array(0) } = options;
  const [source, destination] = [address(from), address(to)];
  if (source.length === 16)
    return ethernet(
      0x86dd,
      join([0x60, 0, 0, 0], u16(payload.length), [protocol, ttl], source, destination, payload),
      options,
    );
  const header = join(
    [0x40 | (5 + extra.length / 4), 0],
    u16(20 + extra.length + payload.length),
    u16(identification),
    u16(fragment),
    [ttl, protocol, 0, 0],
    source,
    destination,
    extra,
  );
  header.set(u16(checksum(addBytes(0, header, 0, header.length))), 10);
  return ethernet(0x0800, join(header, payload), options);
}

/** A transport's message with its checksum at `field` put right. */
export function summed(protocol: number, from: string, to: string, message: Bytes, field: number): Bytes {
  const addresses = join(address(from), address(to));
  const size = addresses.length / 2;
  const family = size === 4 ? 4 : 6;
  const sum = protocol === 1 ? 0 : pseudoHeader(addresses, 0, size, family, protocol, message.length);
  message.set([0, 0], field);
  message.set(
    u16(checksum(addBytes(sum, message, 0, message.length)) || (protocol === 17 ? 0xffff : 0)),
    field,
  );
  return message;
}

/** The UDP datagram alone. */
export function udpMessage(from: string, to: string, payload: Uint8Array | string): Bytes {
  const [source, destination] = [endpoint(from), endpoint(to)];
  const data = join(payload);
  const message = join(u16(source.port), u16(destination.port), u16(8 + data.length), [0, 0], data);
  return summed(17, formatIP(bytesOf(source)), formatIP(bytesOf(destination)), message, 6);
}

/** A frame with a UDP datagram between two such endpoints as `endpoint` reads. */
export function udp(from: string, to: string, payload: Uint8Array | string, options?: PacketOptions): Bytes {
  const [source, destination] = [endpoint(from), endpoint(to)];
  return packet(
    17,
    formatIP(bytesOf(source)),
    formatIP(bytesOf(destination)),
    udpMessage(from, to, payload),
    options,
  );
}

/** A frame with an ICMP or ICMPv6 message; `rest` is bytes 4 to 7. */
export function icmp(
  from: string,
  to: string,
  type: number,
  code: number,
  rest: number,
  payload: Uint8Array | string,
  options?: PacketOptions,
): Bytes {
  const protocol = from.includes(":") ? 58 : 1;
  const message = join([type, code, 0, 0], u32(rest), join(payload));
  return packet(protocol, from, to, summed(protocol, from, to, message, 2), options);
}

export function echo(from: string, to: string, identifier: number, sequence: number, payload: string): Bytes {
  return icmp(from, to, from.includes(":") ? 128 : 8, 0, ((identifier << 16) | sequence) >>> 0, payload);
}

export function arp(operation: number, mac: string, sender: string, target: string): Bytes {
  return ethernet(
    0x0806,
    join(
      [0, 1, 8, 0, 6, 4, 0, operation],
      parseMac(mac)!,
      address(sender),
      [0, 0, 0, 0, 0, 0],
      address(target),
    ),
    { from: mac, to: operation === 1 ? "ff:ff:ff:ff:ff:ff" : "52:55:0a:00:02:02" },
  );
}

/** What is in a frame of the stack's. Throws where a length or checksum is wrong. */
export function dissect(frame: Uint8Array) {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const to = formatMac(frame.subarray(0, 6));
  const type = view.getUint16(12);
  if (type === 0x0806)
    return { to, type, from: "", destination: "", protocol: -1, message: frame.subarray(14), hops: 0 };
  const v4 = type === 0x0800;
  const size = v4 ? 4 : 16;
  const source = v4 ? 26 : 22;
  const body = v4 ? 34 : 54;
  const length = v4 ? view.getUint16(16) + 14 : view.getUint16(18) + 54;
  if (length !== frame.length) throw new Error(`length of ${length} in a frame of ${frame.length} bytes`);
  if (v4 && !isSound(addBytes(0, frame, 14, 20))) throw new Error("the IPv4 header's checksum is wrong");
  const family = v4 ? (4 as const) : (6 as const);
  const ip = (at: number) => formatIP({ family, bytes: frame.subarray(at, at + size) });
  const protocol = frame[v4 ? 23 : 20]!;
  const message = frame.subarray(body);
  if ([1, 17, 58].includes(protocol) && !(v4 && view.getUint16(20) & 0x3fff)) {
    const sum =
      protocol === 1 ? 0 : pseudoHeader(frame, source, source + size, family, protocol, message.length);
    if (!isSound(addBytes(sum, frame, body, message.length))) throw new Error("the checksum is wrong");
  }
  return {
    to,
    type,
    from: ip(source),
    destination: ip(source + size),
    protocol,
    message,
    hops: frame[v4 ? 22 : 21]!,
  };
}

/** A frame in one line, much as tcpdump writes it. */
export function show(frame: Uint8Array): string {
  const { type, from, destination, protocol, message } = dissect(frame);
  const at16 = (at: number) => (message[at]! << 8) | message[at + 1]!;
  const host = (ip: string, port: number) => `${ip.includes(":") ? `[${ip}]` : ip}:${port}`;
  if (type === 0x0806) {
    const ip = (at: number) => formatIP({ family: 4, bytes: message.subarray(at, at + 4) });
    if (message[7] === 1) return `arp who has ${ip(24)} tell ${ip(14)}`;
    return `arp ${ip(14)} is at ${formatMac(message.subarray(8, 14))}`;
  }
  if (protocol === 17)
    return `udp ${host(from, at16(0))} > ${host(destination, at16(2))} ${new TextDecoder().decode(message.subarray(8))}`;
  if (protocol === 1 || protocol === 58) {
    const name = protocol === 1 ? "icmp" : "icmp6";
    return `${name} ${from} > ${destination} type ${message[0]} code ${message[1]}`;
  }
  return `ip ${from} > ${destination} protocol ${protocol}`;
}

function bytesOf(end: Endpoint) {
  return { family: end.family, bytes: end.address };
}

/** A stack with a guest at its wire and a recording outside; frames are looked at by `take`. */
export class World {
  readonly outside = new RecordingOutside();
  readonly config: StackConfig;
  readonly stack: Stack;
  /** What the stack sends of its own when the clock begins to run. */
  readonly greeting: Uint8Array[];
  now = 1000;

  constructor(changes: Partial<StackConfig> = {}) {
    this.config = configFor(changes);
    this.stack = new Stack(this.config, this.outside);
    this.pass(0);
    this.greeting = this.takeFrames();
  }

  /** The guest sends a frame. It lies in a larger buffer, as it does behind a device. */
  guest(frame: Uint8Array, trusted = false, segmentSize = 0): void {
    const buffer = new Uint8Array(new ArrayBuffer(frame.length + 48)).fill(0xee);
    buffer.set(frame, 16);
    this.stack.input(
      this.now,
      buffer,
      new DataView(buffer.buffer),
      16,
      16 + frame.length,
      trusted,
      segmentSize,
    );
    this.stack.flush(this.now);
  }

  /** Time passes; all that falls due happens in its order. */
  pass(milliseconds: number): void {
    const end = this.now + milliseconds;
    for (let next = this.stack.nextTimeout(); next <= end; next = this.stack.nextTimeout()) {
      this.now = Math.max(this.now, next);
      this.stack.tick(this.now);
    }
    this.now = end;
  }

  /** The frames that came since the last call. */
  takeFrames(): Uint8Array[] {
    return this.outside.frames.splice(0);
  }

  /** As text. */
  take(): string[] {
    return this.takeFrames().map(show);
  }
}
