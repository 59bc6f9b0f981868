/** Raw sockets: netlink, Unix SEQPACKET, and probes of whether a port is free. Blocking calls unless said otherwise. */
import { check, ERRNO, sysError } from "./errno.ts";
import { errnoNow, libc } from "./libc.ts";
import { bytes } from "./mem.ts";

export const AF = { UNIX: 1, INET: 2, INET6: 10, NETLINK: 16, PACKET: 17 } as const;
export const SOCK = {
  STREAM: 1,
  DGRAM: 2,
  RAW: 3,
  SEQPACKET: 5,
  CLOEXEC: 0o2000000,
  NONBLOCK: 0o4000,
} as const;
export const SOL_SOCKET = 1;
export const MSG = { OOB: 1, PEEK: 2, DONTWAIT: 0x40, TRUNC: 0x20, NOSIGNAL: 0x4000 } as const;

/** socket(2), close-on-exec. */
export function socket(family: number, type: number, protocol = 0): number {
  return check(libc.socket(family, type | SOCK.CLOEXEC, protocol), "socket");
}

/** socketpair(2) of Unix sockets: two ends, close-on-exec. `type` is SOCK.STREAM or SOCK.SEQPACKET. */
export function socketPair(type: number = SOCK.SEQPACKET): [number, number] {
  const pair = new Int32Array(new ArrayBuffer(8));
  check(libc.socketpair(AF.UNIX, type | SOCK.CLOEXEC, 0, pair), "socketpair");
  return [pair[0]!, pair[1]!];
}

/** bind(2) to an encoded `sockaddr`. */
export function bind(fd: number, address: Uint8Array, subject = ""): void {
  check(libc.bind(fd, address, address.byteLength), "bind", subject);
}

/** connect(2) to an encoded `sockaddr`. */
export function connect(fd: number, address: Uint8Array, subject = ""): void {
  check(libc.connect(fd, address, address.byteLength), "connect", subject);
}

/** send(2): the number of bytes taken. */
export function send(fd: number, data: Uint8Array, flags = 0): number {
  return check(libc.send(fd, data, data.byteLength, flags | MSG.NOSIGNAL), "send");
}

/** recv(2): the number of bytes, 0 at the end of a stream; retried when interrupted. With MSG.TRUNC, the datagram's true size. */
export function recv(fd: number, buffer: Uint8Array, flags = 0): number {
  for (;;) {
    const count = libc.recv(fd, buffer, buffer.byteLength, flags);
    if (count >= 0) return count;
    const errno = errnoNow();
    if (errno !== ERRNO.EINTR) throw sysError("recv", errno);
  }
}

/** shutdown(2) of the sending side: the peer reads the end. */
export function shutdownWrite(fd: number): void {
  const SHUT_WR = 1;
  check(libc.shutdown(fd, SHUT_WR), "shutdown");
}

/** shutdown(2) of both sides; a thread that waits in read(2) wakes with the end. Quiet when the peer is gone. */
export function shutdownBoth(fd: number): void {
  const SHUT_RDWR = 2;
  libc.shutdown(fd, SHUT_RDWR);
}

/** setsockopt(2) with an `int` value. */
export function setOption(fd: number, level: number, option: number, value: number): void {
  const buffer = bytes(4);
  new DataView(buffer.buffer).setInt32(0, value, true);
  check(libc.setsockopt(fd, level, option, buffer, 4), "setsockopt");
}

/** A `sockaddr_un`; refuses a path of more than 107 bytes (unix(7)). */
export function unixAddress(path: string): Uint8Array {
  const text = new TextEncoder().encode(path);
  if (text.length > 107) throw sysError("connect", ERRNO.ENAMETOOLONG, path);
  const address = bytes(2 + text.length + 1);
  new DataView(address.buffer).setUint16(0, AF.UNIX, true);
  address.set(text, 2);
  return address;
}

/** listen(2). */
export function listen(fd: number, backlog = 1): void {
  check(libc.listen(fd, backlog), "listen");
}

/** True for a descriptor that is a listening socket (socket(7), SO_ACCEPTCONN). */
export function isListening(fd: number): boolean {
  const SO_ACCEPTCONN = 30;
  const value = bytes(4);
  const length = bytes(4);
  new DataView(length.buffer).setUint32(0, 4, true);
  return libc.getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, value, length) === 0 && value[0] === 1;
}

/** A `sockaddr_in` or `sockaddr_in6` (ip(7), ipv6(7)); the address's bytes tell which. */
export function inetAddress(ip: { bytes: Uint8Array }, port: number): Uint8Array {
  const six = ip.bytes.length === 16;
  const address = bytes(six ? 28 : 16);
  const view = new DataView(address.buffer);
  view.setUint16(0, six ? AF.INET6 : AF.INET, true);
  view.setUint16(2, port, false);
  address.set(ip.bytes, six ? 8 : 4);
  return address;
}

/** The port that a bound socket has. */
export function boundPort(fd: number): number {
  const address = bytes(28);
  const length = new Uint32Array(new ArrayBuffer(4));
  length[0] = 28;
  check(libc.getsockname(fd, address, length), "getsockname");
  return new DataView(address.buffer).getUint16(2, false);
}
