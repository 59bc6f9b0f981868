/**
 * A vocabulary for TCP traces, close to packetdrill's. The guest's segments go in, ours are compared with what is expected:
 *
 *     S 0 win 64240 <mss 1460,sack,ts 1 0,ws 7>      F. 101 ack 1
 *     P. 1:101 ack 1 win 500                         R 101
 *
 * Flags are S F P R and `.` for ACK; numbers count from each side's initial sequence number. `1:101` is text from 1 to
 * before 101; its bytes follow from their numbers and are checked. In an expectation `win` and options are compared only
 * where they are given, `<>` says that there are none. What is not expected must not come.
 */
import { expect } from "bun:test";
import type { StackConfig } from "../../src/stack/config.ts";
import { IpOutput } from "../../src/stack/ip-output.ts";
import { Neighbours } from "../../src/stack/neighbours.ts";
import { type Destination, type OutFrame, READY } from "../../src/stack/outside.ts";
import { Packet } from "../../src/stack/packet.ts";
import { TcpLayer } from "../../src/stack/tcp/layer.ts";
import { Timers } from "../../src/stack/timers.ts";
import { addBytes, checksum, isSound, pseudoHeader } from "../../src/wire/checksum.ts";
import { headerLength, parseOptions, putTcp, TCP, TCP_FLAG, TcpOptions } from "../../src/wire/tcp.ts";
import { configFor } from "./stack.ts";
import { type HostSocket, StreamHost, streamByte } from "./stream-host.ts";

export interface TraceOptions {
  family?: 4 | 6;
  /** Where the guest's numbers begin; near the end of the number space by default, so that they wrap. */
  guestIsn?: number;
  config?: Partial<StackConfig>;
}

/** What a segment says, numbers counted from the initial ones. */
export interface Shown {
  flags: string;
  sequence: number;
  length: number;
  ack: number | undefined;
  window: number | undefined;
  options: string | undefined;
}

const GUEST = { 4: [10, 0, 2, 100], 6: [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x64] };
const REMOTE = { 4: [192, 0, 2, 7], 6: [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7] };
const PATTERN = /^([SFPR.]+) (-?\d+)(?::(-?\d+))?(?: ack (-?\d+))?(?: win (\d+))?(?: <(.*)>)?$/;
const FLAGS: [string, number][] = [
  ["S", TCP_FLAG.SYN],
  ["F", TCP_FLAG.FIN],
  ["P", TCP_FLAG.PSH],
  ["R", TCP_FLAG.RST],
  [".", TCP_FLAG.ACK],
];

export function parseShown(line: string): Shown {
  const match = PATTERN.exec(line);
  if (!match) throw new Error(`not a segment: ${line}`);
  const sequence = Number(match[2]);
  return {
    flags: match[1]!,
    sequence,
    length: match[3] === undefined ? 0 : Number(match[3]) - sequence,
    ack: match[4] === undefined ? undefined : Number(match[4]),
    window: match[5] === undefined ? undefined : Number(match[5]),
    options: match[6],
  };
}

export class TcpTrace {
  now = 1_000_000;
  readonly host = new StreamHost();
  readonly timers = new Timers();
  readonly layer: TcpLayer;
  readonly config: StackConfig;
  readonly family: 4 | 6;
  guestPort = 40_000;
  remotePort = 80;
  guestIsn: number;
  /** Ours, from our first SYN on. */
  ourIsn: number | undefined;
  /** ICMP errors that the guest was sent: errno and the SYN's number, counted from the guest's initial one. */
  readonly reports: string[] = [];
  /** What the policy says, if not "where the guest wants to go". */
  route: Destination | number | undefined;
  /** Frames of ours that were not looked at yet. */
  readonly sent: { line: Shown; timestamp: number; segmentSize: number }[] = [];
  private readonly packet = new Packet();
  private readonly options = new TcpOptions();

  constructor(options: TraceOptions = {}) {
    this.family = options.family ?? 4;
    this.guestIsn = (options.guestIsn ?? -10) | 0;
    this.config = configFor(options.config);
    const neighbours = new Neighbours();
    neighbours.learn(Uint8Array.from([2, 0, 0, 0, 0, 9, ...GUEST[this.family]]), 0, this.family, 6);
    const output = new IpOutput(this.config, this.host, neighbours, {
      park: () => {
        throw new Error("the guest is known");
      },
    });
    this.layer = new TcpLayer(
      this.config,
      this.host,
      output,
      {
        route: (family, buffer, start, port) =>
          this.route ?? {
            kind: "internet",
            family,
            address: buffer.slice(start, start + (family === 4 ? 4 : 16)),
            port,
          },
      },
      this.timers,
      {
        report: (_now, errno, _protocol, guest, peer, word) => {
          this.reports.push(`${errno} ${guest.port}>${peer.port} ${(word - this.guestIsn) | 0}`);
        },
      },
    );
    this.host.onFrame = frame => this.take(frame);
  }

  /** The last socket of the host's. */
  get socket(): HostSocket {
    return this.host.sockets.at(-1)!;
  }

  private get handle(): number {
    return this.host.sockets.length - 1;
  }

  /** Segments of the guest's, as one batch, and the millisecond after it, in which short acknowledgments come. */
  guest(...lines: string[]): this {
    return this.batch(...lines).pass(1);
  }

  /** Segments of the guest's, as one batch. */
  batch(...lines: string[]): this {
    for (const line of lines) this.inject(line);
    this.layer.flush(this.now);
    return this;
  }

  /** One segment without the flush that ends a batch. */
  inject(line: string, damage = false): void {
    const shown = parseShown(line);
    const header = TCP.HEADER + optionBytes(shown.options ?? "", this).length;
    const ip = this.family === 4 ? 20 : 40;
    const bytes = new Uint8Array(new ArrayBuffer(ip + header + shown.length));
    const view = new DataView(bytes.buffer);
    const source = this.family === 4 ? 12 : 8;
    const size = this.family === 4 ? 4 : 16;
    bytes.set(GUEST[this.family], source);
    bytes.set(REMOTE[this.family], source + size);
    let flags = 0;
    for (const [letter, bit] of FLAGS) if (shown.flags.includes(letter)) flags |= bit;
    const ack = shown.ack === undefined ? 0 : ((this.ourIsn ?? 0) + shown.ack) | 0;
    const sequence = (this.guestIsn + shown.sequence) | 0;
    const window = shown.window ?? 65_535;
    putTcp(view, ip, this.guestPort, this.remotePort, sequence, ack, header, flags, window);
    bytes.set(optionBytes(shown.options ?? "", this), ip + TCP.HEADER);
    for (let index = 0; index < shown.length; index++)
      bytes[ip + header + index] = streamByte(shown.sequence - 1 + index, "out");
    const sum = pseudoHeader(bytes, source, source + size, this.family, 6, header + shown.length);
    view.setUint16(ip + TCP.CHECKSUM, checksum(addBytes(sum, bytes, ip, header + shown.length)));
    if (damage) bytes[ip + 4]! ^= 0x40;
    const { packet } = this;
    packet.buffer = bytes;
    packet.view = view;
    packet.family = this.family;
    packet.ip = 0;
    packet.source = source;
    packet.destination = source + size;
    packet.protocol = 6;
    packet.transport = ip;
    packet.end = bytes.length;
    this.layer.input(this.now, packet);
  }

  /** The host's socket tells its edges: R(eadable) W(ritable) C(losed by the peer) E(rror). */
  ready(edges: string): this {
    let events = 0;
    for (const [letter, bit] of [
      ["R", READY.READABLE],
      ["W", READY.WRITABLE],
      ["C", READY.PEER_CLOSED],
      ["E", READY.ERROR],
    ] as const)
      if (edges.includes(letter)) events |= bit;
    this.layer.socketReady(this.now, this.handle, events);
    this.layer.flush(this.now);
    return this;
  }

  /** The peer of the host's socket sends so many bytes. */
  feed(bytes: number): this {
    this.socket.available += bytes;
    return this.ready("R");
  }

  /** The peer of the host's socket sends its end, behind `bytes` more. */
  end(bytes = 0): this {
    this.socket.available += bytes;
    this.socket.ended = true;
    return this.ready("RC");
  }

  /** The host's socket takes so many bytes more. */
  makeRoom(bytes: number): this {
    this.socket.room += bytes;
    return this.ready("W");
  }

  /** Time passes, timers go off when they are due. */
  pass(milliseconds: number): this {
    const end = this.now + milliseconds;
    for (let next = this.timers.next(); next <= end; next = this.timers.next()) {
      this.now = Math.max(this.now, next);
      this.timers.run(this.now);
      this.layer.flush(this.now);
    }
    this.now = end;
    return this;
  }

  /** What was sent since the last look is this, and nothing else. */
  expect(...lines: string[]): this {
    const got = this.sent.splice(0);
    const shown = got.map((one, index) => text(one.line, lines[index]));
    expect(shown).toEqual(lines.map(line => text(parseShown(line), line)));
    return this;
  }

  /** What was sent since the last look, for tests that compare something else. */
  drain(): Shown[] {
    return this.sent.splice(0).map(one => one.line);
  }

  /** Three-way handshake, begun by the guest. */
  establish(options = "mss 1460", window = 65_535): this {
    this.guest(`S 0 win ${window} <${options}>`).ready("W");
    this.sent.splice(0);
    return this.guest(`. 1 ack 1 win ${window}${this.stamp(options)}`).expect();
  }

  private stamp(options: string): string {
    return options.includes("ts ") ? " <ts 2 0>" : "";
  }

  private take(frame: OutFrame): void {
    const bytes = new Uint8Array(new ArrayBuffer(frame.headerLength + frame.payloadLength));
    bytes.set(frame.header.subarray(frame.headerStart, frame.headerStart + frame.headerLength));
    const { payloadStart, payloadLength } = frame;
    bytes.set(frame.payload.subarray(payloadStart, payloadStart + payloadLength), frame.headerLength);
    const view = new DataView(bytes.buffer);
    const transport = 14 + (this.family === 4 ? 20 : 40);
    const source = 14 + (this.family === 4 ? 12 : 8);
    const size = this.family === 4 ? 4 : 16;
    expect([...bytes.subarray(source, source + size)]).toEqual(REMOTE[this.family]);
    const length = bytes.length - transport;
    if (frame.checksumStart === 0) {
      const sum = pseudoHeader(bytes, source, source + size, this.family, 6, length);
      expect(isSound(addBytes(sum, bytes, transport, length))).toBe(true);
    }
    expect(view.getUint16(transport + TCP.DESTINATION_PORT)).toBe(this.guestPort);
    this.remotePort = view.getUint16(transport + TCP.SOURCE_PORT);
    const flags = view.getUint8(transport + TCP.FLAGS);
    const sequence = view.getInt32(transport + TCP.SEQUENCE);
    if (flags & TCP_FLAG.SYN) this.ourIsn = sequence;
    const header = headerLength(view, transport);
    parseOptions(view, transport + TCP.HEADER, transport + header, this.options);
    const relative =
      flags & TCP_FLAG.RST && this.ourIsn === undefined ? sequence : (sequence - (this.ourIsn ?? 0)) | 0;
    const text = length - header;
    expect(text).toBe(frame.payloadLength);
    for (let index = 0; index < text; index++)
      if (bytes[transport + header + index] !== streamByte(relative - 1 + index, "in"))
        throw new Error(`byte ${relative - 1 + index} to the guest is wrong`);
    const most = frame.segmentSize > 0 ? frame.segmentSize : text;
    expect(most + header + transport - 14).toBeLessThanOrEqual(this.config.mtu);
    this.sent.push({
      line: {
        flags: FLAGS.filter(([, bit]) => flags & bit)
          .map(([letter]) => letter)
          .join(""),
        sequence: relative,
        length: text,
        ack:
          flags & TCP_FLAG.ACK
            ? (view.getInt32(transport + TCP.ACKNOWLEDGMENT) - this.guestIsn) | 0
            : undefined,
        window: view.getUint16(transport + TCP.WINDOW),
        options: this.optionsText(),
      },
      timestamp: this.options.timestamp,
      segmentSize: frame.segmentSize,
    });
  }

  private optionsText(): string {
    const { options } = this;
    const parts: string[] = [];
    if (options.mss > 0) parts.push(`mss ${options.mss}`);
    if (options.sackPermitted) parts.push("sack");
    if (options.hasTimestamps) parts.push(`ts ${options.timestampEcho}`);
    if (options.windowScale >= 0) parts.push(`ws ${options.windowScale}`);
    for (let index = 0; index < options.sackBlocks; index++) {
      const [start, end] = [0, 1].map(edge => (options.sack[index * 2 + edge]! - this.guestIsn) | 0);
      parts.push(`sack ${start}:${end}`);
    }
    return parts.join(",");
  }
}

/** A segment in words; of window and options only what `wanted` names. */
function text(shown: Shown, wanted: string | undefined): string {
  const { flags, sequence, length, ack, window, options } = shown;
  const range = length > 0 ? `${sequence}:${sequence + length}` : `${sequence}`;
  return (
    `${flags} ${range}${ack === undefined ? "" : ` ack ${ack}`}` +
    (wanted === undefined || wanted.includes(" win ") ? ` win ${window}` : "") +
    (wanted === undefined || wanted.includes("<") ? ` <${options ?? ""}>` : "")
  );
}

/** Bytes of the guest's options: `mss N`, `ws N`, `sack` (permitted), `ts VALUE ECHO`, `sack A:B` (numbers of ours), `hex`. */
function optionBytes(words: string, trace: TcpTrace): number[] {
  const bytes: number[] = [];
  const word = (value: number) => [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
  const blocks: number[] = [];
  for (const part of words
    .split(",")
    .map(one => one.trim())
    .filter(Boolean)) {
    const [name, first, second] = part.split(/[ :]/);
    if (name === "mss") bytes.push(2, 4, Number(first) >> 8, Number(first) & 0xff);
    else if (name === "ws") bytes.push(1, 3, 3, Number(first));
    else if (name === "ts") bytes.push(1, 1, 8, 10, ...word(Number(first)), ...word(Number(second)));
    else if (name === "hex") bytes.push(...first!.match(/../g)!.map(two => Number.parseInt(two, 16)));
    else if (name === "sack" && first === undefined) bytes.push(1, 1, 4, 2);
    else if (name === "sack")
      for (const edge of [first, second]) blocks.push(...word(((trace.ourIsn ?? 0) + Number(edge)) | 0));
  }
  if (blocks.length > 0) bytes.push(1, 1, 5, 2 + blocks.length, ...blocks);
  while (bytes.length % 4 !== 0) bytes.push(0);
  return bytes;
}
