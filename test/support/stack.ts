/** A stack's surroundings for tests: a configuration, and an `Outside` that keeps what it was asked for. */
import type { StackConfig } from "../../src/stack/config.ts";
import { ERRNO } from "../../src/stack/errno.ts";
import type { Destination, Handle, OutFrame, Outside } from "../../src/stack/outside.ts";
import { formatIP, parseCidr, parseIP, parseMac } from "../../src/wire/addr.ts";

/** slirp4netns' network with its IPv6; what differs is told. */
export function configFor(changes: Partial<StackConfig> = {}): StackConfig {
  return {
    ipv4: {
      subnet: parseCidr("10.0.2.0/24")!,
      gateway: parseIP("10.0.2.2")!,
      dns: parseIP("10.0.2.3")!,
      guest: parseIP("10.0.2.100")!,
    },
    ipv6: { prefix: parseCidr("fd00::/64")!, gateway: parseIP("fd00::2")!, dns: parseIP("fd00::3")! },
    mac: parseMac("52:55:0a:00:02:02")!,
    mtu: 1500,
    offload: false,
    hostLoopback: true,
    dns: true,
    searchDomains: [],
    secret: Uint8Array.from({ length: 16 }, (_, index) => index * 17),
    limits: {
      tcpFlows: 1000,
      udpFlows: 100,
      pingFlows: 20,
      flowBuffer: 1 << 20,
      totalBuffer: 16 << 20,
      reassembly: 256 << 10,
    },
    ...changes,
  };
}

/** The bytes as `tcpdump -e -x` would show them: two digits each, separated by blanks. */
export function text(bytes: Uint8Array): string {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join(" ");
}

/** Bytes of such a text; line ends are blanks. */
export function hex(digits: string): Uint8Array<ArrayBuffer> {
  const clean = digits.replaceAll(/\s/g, "");
  const bytes = new Uint8Array(new ArrayBuffer(clean.length / 2));
  for (let index = 0; index < bytes.length; index++)
    bytes[index] = Number.parseInt(clean.slice(index * 2, index * 2 + 2), 16);
  return bytes;
}

/** A socket that the stack opened. */
export interface RecordedSocket {
  kind: "tcp" | "udp" | "ping";
  /** `internet 192.0.2.7:53`. */
  to: string;
  guestKey: string;
  sent: Uint8Array[];
  /** What `receive` will give, one datagram (or chunk) a call. */
  incoming: Uint8Array[];
  /** What `takeError` will give, one a call. */
  errors: number[];
  mtu: number;
  state: "open" | "shut" | "closed" | "reset";
}

export class RecordingOutside implements Outside {
  /** Whole Ethernet frames in the order sent; fetch with `shift` what has been looked at. */
  frames: Uint8Array<ArrayBuffer>[] = [];
  offloads: { checksumStart: number; checksumOffset: number; segmentSize: number }[] = [];
  sockets = new Map<Handle, RecordedSocket>();
  queries: { token: number; message: Uint8Array }[] = [];
  /** Datagrams sent from published sockets. */
  replies: { handle: Handle; to: string; data: Uint8Array }[] = [];
  /** What the next openings answer instead of a handle: a negative errno. */
  refusal = 0;
  /** What the next sendings answer instead of a length. */
  blocked = 0;
  #next = 0;

  emit(frame: OutFrame): void {
    const whole = new Uint8Array(new ArrayBuffer(frame.headerLength + frame.payloadLength));
    whole.set(frame.header.subarray(frame.headerStart, frame.headerStart + frame.headerLength));
    whole.set(
      frame.payload.subarray(frame.payloadStart, frame.payloadStart + frame.payloadLength),
      frame.headerLength,
    );
    this.frames.push(whole);
    const { checksumStart, checksumOffset, segmentSize } = frame;
    this.offloads.push({ checksumStart, checksumOffset, segmentSize });
  }

  connectTcp(to: Destination): Handle {
    return this.#open("tcp", to, "");
  }

  openUdp(to: Destination, guestKey: string): Handle {
    return this.#open("udp", to, guestKey);
  }

  openPing(to: Destination): Handle {
    return this.#open("ping", to, "");
  }

  send(handle: Handle, buffer: Uint8Array<ArrayBuffer>, start: number, length: number): number {
    if (this.blocked) return this.blocked;
    this.socket(handle).sent.push(buffer.slice(start, start + length));
    return length;
  }

  receive(handle: Handle, buffer: Uint8Array<ArrayBuffer>, start: number, length: number): number {
    const socket = this.socket(handle);
    const next = socket.incoming.shift();
    if (!next) return -ERRNO.EAGAIN;
    const part = next.subarray(0, length);
    buffer.set(part, start);
    if (socket.kind === "tcp" && part.length < next.length) socket.incoming.unshift(next.subarray(length));
    return part.length;
  }

  sendTo(
    handle: Handle,
    to: Destination,
    buffer: Uint8Array<ArrayBuffer>,
    start: number,
    length: number,
  ): number {
    this.replies.push({ handle, to: destinationText(to), data: buffer.slice(start, start + length) });
    return length;
  }

  takeError(handle: Handle): number {
    return this.socket(handle).errors.shift() ?? 0;
  }

  pathMtu(handle: Handle): number {
    return this.socket(handle).mtu;
  }

  shutdownWrite(handle: Handle): void {
    this.socket(handle).state = "shut";
  }

  close(handle: Handle): void {
    this.socket(handle).state = "closed";
  }

  reset(handle: Handle): void {
    this.socket(handle).state = "reset";
  }

  dnsQuery(token: number, message: Uint8Array): void {
    this.queries.push({ token, message: Uint8Array.from(message) });
  }

  /** The socket behind a handle; a handle that is not open is the stack's error. */
  socket(handle: Handle): RecordedSocket {
    const socket = this.sockets.get(handle);
    if (!socket || socket.state === "closed" || socket.state === "reset")
      throw new Error(`handle ${handle} is ${socket ? socket.state : "unknown"}`);
    return socket;
  }

  /** Sockets that are open now. */
  get open(): RecordedSocket[] {
    return [...this.sockets.values()].filter(one => one.state === "open" || one.state === "shut");
  }

  #open(kind: RecordedSocket["kind"], to: Destination, guestKey: string): Handle {
    if (this.refusal) return this.refusal;
    const handle = this.#next++;
    this.sockets.set(handle, {
      kind,
      to: destinationText(to),
      guestKey,
      sent: [],
      incoming: [],
      errors: [],
      mtu: 0,
      state: "open",
    });
    return handle;
  }
}

function destinationText(to: Destination): string {
  const address = formatIP({ family: to.family, bytes: to.address });
  return `${to.kind} ${to.family === 4 ? address : `[${address}]`}:${to.port}`;
}
