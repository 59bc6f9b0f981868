/** The model peer's segments as IP packets, and ours as the peer reads them. */
import { addBytes, checksum, isSound, pseudoHeader } from "../../src/wire/checksum.ts";
import { headerLength, parseOptions, putTcp, TCP, TCP_FLAG, TcpOptions } from "../../src/wire/tcp.ts";
import type { SegmentOfPeer } from "./peer.ts";

export interface Addresses {
  family: 4 | 6;
  guest: Uint8Array;
  remote: Uint8Array;
  guestPort: number;
  remotePort: number;
}

const ETHERNET = 14;

/** An Ethernet frame from the guest. */
export function emit(addresses: Addresses, segment: SegmentOfPeer): Uint8Array<ArrayBuffer> {
  const { family, guest, remote, guestPort, remotePort } = addresses;
  const options = emitOptions(segment);
  const header = TCP.HEADER + options.length;
  const ip = ETHERNET + (family === 4 ? 20 : 40);
  const bytes = new Uint8Array(new ArrayBuffer(ip + header + segment.text.length));
  const view = new DataView(bytes.buffer);
  bytes.set([0x52, 0x55, 10, 0, 2, 2, 2, 0, 0, 0, 0, 9, ...(family === 4 ? [8, 0] : [0x86, 0xdd])]);
  const source = ETHERNET + (family === 4 ? 12 : 8);
  bytes.set(guest, source);
  bytes.set(remote, source + guest.length);
  const length = header + segment.text.length;
  if (family === 4) {
    view.setUint16(14, 0x4500);
    view.setUint16(16, 20 + length);
    view.setUint16(20, 0x4000);
    view.setUint16(22, 0x4006);
    view.setUint16(24, checksum(addBytes(0, bytes, 14, 20)));
  } else {
    view.setUint8(14, 0x60);
    view.setUint16(18, length);
    view.setUint16(20, 0x0640);
  }
  const flags =
    (segment.syn ? TCP_FLAG.SYN : 0) |
    (segment.fin ? TCP_FLAG.FIN : 0) |
    (segment.rst ? TCP_FLAG.RST : 0) |
    (segment.ack === undefined ? 0 : TCP_FLAG.ACK) |
    (segment.text.length > 0 ? TCP_FLAG.PSH : 0);
  putTcp(view, ip, guestPort, remotePort, segment.sequence, segment.ack ?? 0, header, flags, segment.window);
  bytes.set(options, ip + TCP.HEADER);
  bytes.set(segment.text, ip + header);
  const sum = pseudoHeader(bytes, source, source + guest.length, family, 6, length);
  view.setUint16(ip + TCP.CHECKSUM, checksum(addBytes(sum, bytes, ip, length)));
  return bytes;
}

function emitOptions(segment: SegmentOfPeer): number[] {
  const word = (value: number) => [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
  const bytes: number[] = [];
  if (segment.mss !== undefined) bytes.push(2, 4, segment.mss >> 8, segment.mss & 0xff);
  if (segment.windowScale !== undefined) bytes.push(1, 3, 3, segment.windowScale);
  if (segment.sackPermitted) bytes.push(1, 1, 4, 2);
  if (segment.timestamps) bytes.push(1, 1, 8, 10, ...segment.timestamps.flatMap(word));
  if (segment.sack) {
    const most = segment.timestamps ? 6 : 8;
    const edges = segment.sack.slice(0, most);
    bytes.push(1, 1, 5, 2 + edges.length * 4, ...edges.flatMap(word));
  }
  return bytes;
}

const options = new TcpOptions();

/** What the guest reads in a frame of ours, cut into segments as its kernel would (TSO). */
export function parse(
  addresses: Addresses,
  bytes: Uint8Array<ArrayBuffer>,
  segmentSize: number,
  complete: boolean,
): SegmentOfPeer[] {
  const { family, guest } = addresses;
  const view = new DataView(bytes.buffer);
  const ip = ETHERNET + (family === 4 ? 20 : 40);
  const source = ETHERNET + (family === 4 ? 12 : 8);
  const length = bytes.length - ip;
  // Router advertisements and the like are for others.
  if (bytes[family === 4 ? 23 : 20] !== 6) return [];
  if (complete) {
    const sum = pseudoHeader(bytes, source, source + guest.length, family, 6, length);
    if (!isSound(addBytes(sum, bytes, ip, length))) throw new Error("a wrong checksum");
  }
  addresses.remotePort = view.getUint16(ip + TCP.SOURCE_PORT);
  const header = headerLength(view, ip);
  parseOptions(view, ip + TCP.HEADER, ip + header, options);
  const flags = view.getUint8(ip + TCP.FLAGS);
  const whole = bytes.subarray(ip + header);
  const step = segmentSize > 0 ? segmentSize : Math.max(1, whole.length);
  const segments: SegmentOfPeer[] = [];
  for (let start = 0; start === 0 || start < whole.length; start += step) {
    const last = start + step >= whole.length;
    segments.push({
      syn: (flags & TCP_FLAG.SYN) !== 0,
      fin: (flags & TCP_FLAG.FIN) !== 0 && last,
      rst: (flags & TCP_FLAG.RST) !== 0,
      sequence: (view.getInt32(ip + TCP.SEQUENCE) + start) | 0,
      ack: flags & TCP_FLAG.ACK ? view.getInt32(ip + TCP.ACKNOWLEDGMENT) : undefined,
      window: view.getUint16(ip + TCP.WINDOW),
      sackPermitted: options.sackPermitted,
      ...(options.windowScale >= 0 ? { windowScale: options.windowScale } : {}),
      ...(options.hasTimestamps
        ? { timestamps: [options.timestamp, options.timestampEcho] as [number, number] }
        : {}),
      sack: [...options.sack.subarray(0, options.sackBlocks * 2)],
      text: whole.subarray(start, start + step),
    });
  }
  return segments;
}
