/**
 * Internet sockets of the packet path: non-blocking, close-on-exec, negative errno values instead of exceptions, buffers
 * with a start and a length. ip(7), ipv6(7), tcp(7), udp(7), icmp(7).
 */
import { ERRNO } from "./errno.ts";
import { errnoNow } from "./libc.ts";
import { addressOf, bytes } from "./mem.ts";
import { packetLibc } from "./packet-libc.ts";
import { AF, MSG, SOCK } from "./socket.ts";

export const LEVEL = { SOCKET: 1, IP: 0, TCP: 6, IPV6: 41 } as const;
export const IPPROTO = { ICMP: 1, TCP: 6, UDP: 17, ICMPV6: 58 } as const;
/** Socket options by level; the numbers are Linux's on x86-64 and arm64. */
export const SO = {
  REUSEADDR: 2,
  ERROR: 4,
  SNDBUF: 7,
  RCVBUF: 8,
  KEEPALIVE: 9,
  OOBINLINE: 10,
  LINGER: 13,
  REUSEPORT: 15,
  BINDTODEVICE: 25,
  ATTACH_FILTER: 26,
  MARK: 36,
  DOMAIN: 39,
} as const;
export const IP_OPTION = {
  PKTINFO: 8,
  RECVERR: 11,
  MTU: 14,
  FREEBIND: 15,
  TRANSPARENT: 19,
  BIND_ADDRESS_NO_PORT: 24,
} as const;
export const IPV6_OPTION = {
  MTU: 24,
  RECVERR: 25,
  V6ONLY: 26,
  RECVPKTINFO: 49,
  PKTINFO: 50,
  TRANSPARENT: 75,
  FREEBIND: 78,
} as const;
export const TCP_OPTION = { NODELAY: 1 } as const;

/** A `sockaddr_in` or `sockaddr_in6`, for use again and again. */
export class SocketAddress {
  readonly bytes: Uint8Array<ArrayBuffer> = bytes(28);
  private readonly view = new DataView(this.bytes.buffer);
  /** For calls that take the room and give the length (`socklen_t`). */
  readonly length: Uint8Array<ArrayBuffer> = bytes(4);
  private readonly lengthView = new DataView(this.length.buffer);

  /** `address`: 4 or 16 bytes in network order; `scope`: the interface of a link-local IPv6 address. */
  set(family: 4 | 6, address: Uint8Array, port: number, scope = 0): this {
    const { view } = this;
    view.setUint16(0, family === 6 ? AF.INET6 : AF.INET, true);
    view.setUint16(2, port, false);
    view.setUint32(4, 0, true);
    this.bytes.set(address, family === 6 ? 8 : 4);
    if (family === 6) view.setUint32(24, scope, true);
    else {
      view.setUint32(8, 0, true);
      view.setUint32(12, 0, true);
    }
    return this;
  }

  /** Takes over the bytes of another. */
  copy(other: SocketAddress): this {
    this.bytes.set(other.bytes);
    return this;
  }

  get family(): 4 | 6 {
    return this.view.getUint16(0, true) === AF.INET6 ? 6 : 4;
  }
  get port(): number {
    return this.view.getUint16(2, false);
  }
  get scope(): number {
    return this.family === 6 ? this.view.getUint32(24, true) : 0;
  }
  /** A copy of the address: 4 or 16 bytes. */
  get address(): Uint8Array {
    return this.family === 6 ? this.bytes.slice(8, 24) : this.bytes.slice(4, 8);
  }
  get size(): number {
    return this.family === 6 ? 28 : 16;
  }

  /** All of the room is free for the kernel to write an address to. */
  offerRoom(): void {
    this.lengthView.setUint32(0, this.bytes.length, true);
  }
}

/** socket(2): a descriptor or a negative errno. */
export function openSocket(family: 4 | 6, type: number, protocol: number): number {
  const domain = family === 6 ? AF.INET6 : AF.INET;
  const fd = packetLibc.socket(domain, type | SOCK.NONBLOCK | SOCK.CLOEXEC, protocol);
  return fd < 0 ? -errnoNow() : fd;
}

export function bindSocket(fd: number, to: SocketAddress): number {
  return packetLibc.bind(fd, addressOf(to.bytes), to.size) < 0 ? -errnoNow() : 0;
}

/** connect(2): 0, or a negative errno; -EINPROGRESS is the usual answer for TCP. */
export function connectSocket(fd: number, to: SocketAddress): number {
  for (;;) {
    if (packetLibc.connect(fd, addressOf(to.bytes), to.size) >= 0) return 0;
    const errno = errnoNow();
    if (errno !== ERRNO.EINTR) return -errno;
  }
}

const unspecified = bytes(16);

/**
 * connect(2) to AF_UNSPEC: the connection, if there is one, is over at once (by a reset where data was still on its way),
 * and the socket is as good as new. 0 or a negative errno.
 */
export function disconnectSocket(fd: number): number {
  return packetLibc.connect(fd, addressOf(unspecified), unspecified.length) < 0 ? -errnoNow() : 0;
}

/** accept4(2): the new socket, whose peer is written to `peer`; or a negative errno. */
export function acceptSocket(fd: number, peer: SocketAddress): number {
  for (;;) {
    peer.offerRoom();
    const flags = SOCK.NONBLOCK | SOCK.CLOEXEC;
    const accepted = packetLibc.accept4(fd, addressOf(peer.bytes), addressOf(peer.length), flags);
    if (accepted >= 0) return accepted;
    const errno = errnoNow();
    if (errno !== ERRNO.EINTR) return -errno;
  }
}

/** The local end of a socket, written to `into`. */
export function localAddress(fd: number, into: SocketAddress): number {
  into.offerRoom();
  const result = packetLibc.getsockname(fd, addressOf(into.bytes), addressOf(into.length));
  return result < 0 ? -errnoNow() : 0;
}

const option = bytes(8);
const optionView = new DataView(option.buffer);
const optionLength = bytes(4);
const optionLengthView = new DataView(optionLength.buffer);

/** setsockopt(2) with an `int`: 0 or a negative errno. */
export function setInt(fd: number, level: number, name: number, value: number): number {
  optionView.setInt32(0, value, true);
  return packetLibc.setsockopt(fd, level, name, addressOf(option), 4) < 0 ? -errnoNow() : 0;
}

/** getsockopt(2) of an `int` that is never negative, or a negative errno. */
export function getInt(fd: number, level: number, name: number): number {
  optionLengthView.setUint32(0, 4, true);
  const result = packetLibc.getsockopt(fd, level, name, addressOf(option), addressOf(optionLength));
  return result < 0 ? -errnoNow() : optionView.getInt32(0, true);
}

/**
 * What a relayed TCP stream wants of its socket, and what an accepted one inherits from its listener: each write leaves at
 * once, urgent data stays in its place (RFC 6093), and a peer that is gone is found out in the kernel's own time, since a
 * guest that asks by keepalive is answered by the stack and would never hear of it.
 */
export function relayStream(fd: number): void {
  setInt(fd, LEVEL.TCP, TCP_OPTION.NODELAY, 1);
  setInt(fd, LEVEL.SOCKET, SO.KEEPALIVE, 1);
  setInt(fd, LEVEL.SOCKET, SO.OOBINLINE, 1);
}

/** Binds to a network interface; the name is at most 15 bytes (SO_BINDTODEVICE). */
export function bindToDevice(fd: number, name: Uint8Array<ArrayBuffer>): number {
  const result = packetLibc.setsockopt(fd, LEVEL.SOCKET, SO.BINDTODEVICE, addressOf(name), name.length);
  return result < 0 ? -errnoNow() : 0;
}

/** close(2) will send a reset and forget what is unsent (SO_LINGER with no time). */
export function resetOnClose(fd: number): number {
  optionView.setInt32(0, 1, true);
  optionView.setInt32(4, 0, true);
  return packetLibc.setsockopt(fd, LEVEL.SOCKET, SO.LINGER, addressOf(option), 8) < 0 ? -errnoNow() : 0;
}

/** send(2) of part of a buffer: bytes taken or a negative errno; never SIGPIPE. */
export function sendPart(fd: number, buffer: Uint8Array<ArrayBuffer>, start: number, length: number): number {
  for (;;) {
    const sent = packetLibc.send(fd, addressOf(buffer) + start, length, MSG.NOSIGNAL);
    if (sent >= 0) return sent;
    const errno = errnoNow();
    if (errno !== ERRNO.EINTR) return -errno;
  }
}

/** recv(2) into part of a buffer: bytes read or a negative errno. A longer datagram is cut off. */
export function receivePart(
  fd: number,
  buffer: Uint8Array<ArrayBuffer>,
  start: number,
  length: number,
): number {
  for (;;) {
    const count = packetLibc.recv(fd, addressOf(buffer) + start, length, 0);
    if (count >= 0) return count;
    const errno = errnoNow();
    if (errno !== ERRNO.EINTR) return -errno;
  }
}

/** shutdown(2) of the sending side. */
export function shutdownSending(fd: number): void {
  const SHUT_WR = 1;
  packetLibc.shutdown(fd, SHUT_WR);
}

/** close(2); nothing can be done about its errors, and the descriptor is gone in any case. */
export function closeSocket(fd: number): void {
  packetLibc.close(fd);
}

/** Puts the socket `from` in the place of `over`, which is closed by it; `from` itself is closed too. */
export function replaceSocket(from: number, over: number): number {
  const result = packetLibc.dup3(from, over, SOCK.CLOEXEC) < 0 ? -errnoNow() : 0;
  packetLibc.close(from);
  return result;
}
