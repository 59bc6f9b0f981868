/** Sockets of tests: blocking, in a namespace of choice. */
import { DatagramIo } from "../../src/sys/datagram.ts";
import { sysError } from "../../src/sys/errno.ts";
import { closeFd, setNonBlocking, waitReadable } from "../../src/sys/fd.ts";
import {
  acceptSocket,
  bindSocket,
  connectSocket,
  LEVEL,
  localAddress,
  receivePart,
  resetOnClose,
  SO,
  SocketAddress,
  sendPart,
  setInt,
  shutdownSending,
} from "../../src/sys/inet.ts";
import { bytes } from "../../src/sys/mem.ts";
import { AF, bind, boundPort, connect, inetAddress, listen, SOCK, socket } from "../../src/sys/socket.ts";
import { formatIP, parseIP } from "../../src/wire/addr.ts";
import type { TestNetns } from "../support/netns.ts";

/** `"192.0.2.1 80"`. */
export function show(address: SocketAddress): string {
  return `${formatIP({ family: address.family, bytes: address.address })} ${address.port}`;
}

export function encoded(text: string): Uint8Array<ArrayBuffer> {
  const data = new TextEncoder().encode(text);
  return roomy(data).subarray(0, data.length);
}

/** A copy with an address of its own, also when it is empty. */
function roomy(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const buffer = bytes(Math.max(data.length, 1));
  buffer.set(data);
  return buffer;
}

/** A blocking socket of `place`; the test waits in the kernel, since the plane is another process. */
export class TestSocket implements Disposable {
  private closed = false;

  private constructor(readonly fd: number) {}

  static open(place: TestNetns, family: 4 | 6, type: number): TestSocket {
    return new TestSocket(place.run(() => socket(family === 6 ? AF.INET6 : AF.INET, type)));
  }

  /** Connected to `address`, from `local` where that is given; throws what connect(2) says. */
  static connected(
    place: TestNetns,
    address: string,
    port: number,
    type: number = SOCK.STREAM,
    local?: SocketAddress,
  ): TestSocket {
    const ip = parseIP(address)!;
    const one = TestSocket.open(place, ip.family, type);
    setInt(one.fd, LEVEL.SOCKET, SO.REUSEADDR, 1);
    if (local) bindSocket(one.fd, local);
    try {
      connect(one.fd, inetAddress(ip, port));
      return one;
    } catch (error) {
      one[Symbol.dispose]();
      throw error;
    }
  }

  /** Connecting to `address`, and not waiting for it. */
  static connecting(place: TestNetns, address: string, port: number): TestSocket {
    const ip = parseIP(address)!;
    const one = TestSocket.open(place, ip.family, SOCK.STREAM);
    setNonBlocking(one.fd, true);
    connectSocket(one.fd, new SocketAddress().set(ip.family, ip.bytes, port));
    return one;
  }

  /** Bound to `address` and, for a stream, listening. */
  static bound(place: TestNetns, address: string, port = 0, type: number = SOCK.STREAM): TestSocket {
    const ip = parseIP(address)!;
    const one = TestSocket.open(place, ip.family, type);
    bind(one.fd, inetAddress(ip, port), `${address} ${port}`);
    if (type === SOCK.STREAM) listen(one.fd, 4096);
    return one;
  }

  get port(): number {
    return boundPort(this.fd);
  }

  /** The next caller, and who it is. */
  accept(): { socket: TestSocket; from: SocketAddress } {
    if (!waitReadable(this.fd, 10_000)) throw new Error("nobody calls");
    const from = new SocketAddress();
    const fd = acceptSocket(this.fd, from);
    if (fd < 0) throw new Error(`accept: ${fd}`);
    setNonBlocking(fd, false);
    return { socket: new TestSocket(fd), from };
  }

  /** The address that it has towards its peer. */
  get local(): SocketAddress {
    const address = new SocketAddress();
    localAddress(this.fd, address);
    return address;
  }

  send(data: Uint8Array<ArrayBuffer> | string): void {
    const buffer = typeof data === "string" ? encoded(data) : data;
    const whole = roomy(buffer);
    for (let done = 0; done < buffer.length || done === 0; ) {
      const sent = sendPart(this.fd, whole, done, buffer.length - done);
      if (sent < 0) throw sysError("send", -sent);
      done += Math.max(sent, 1);
    }
  }

  /** What comes next, up to 64 KB; empty at the end. Throws what recv(2) says, or after ten seconds. */
  receive(): Uint8Array<ArrayBuffer> {
    if (!waitReadable(this.fd, 10_000)) throw new Error("nothing comes");
    const buffer = bytes(65_536);
    const count = receivePart(this.fd, buffer, 0, buffer.length);
    if (count < 0) throw sysError("recv", -count);
    return buffer.slice(0, count);
  }

  /** True when something can be received. */
  waits(): boolean {
    return waitReadable(this.fd, 0);
  }

  text(): string {
    return new TextDecoder().decode(this.receive());
  }

  /** All until the end. */
  rest(): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let part = this.receive(); part.length > 0; part = this.receive()) parts.push(part);
    return Buffer.concat(parts);
  }

  /** The next datagram, and who sent it. */
  receiveFrom(): { data: Uint8Array; io: DatagramIo } {
    if (!waitReadable(this.fd, 10_000)) throw new Error("no datagram comes");
    const buffer = bytes(65_536);
    const io = new DatagramIo();
    const count = io.receive(this.fd, buffer, 0, buffer.length);
    if (count < 0) throw sysError("recvmsg", -count);
    return { data: buffer.slice(0, count), io };
  }

  sendTo(to: SocketAddress, data: Uint8Array<ArrayBuffer> | string): void {
    const buffer = typeof data === "string" ? encoded(data) : data;
    const sent = new DatagramIo().send(this.fd, to, undefined, roomy(buffer), 0, buffer.length);
    if (sent < 0) throw sysError("sendmsg", -sent);
  }

  /** No more will be sent. */
  end(): void {
    shutdownSending(this.fd);
  }

  /** Closes with a reset. */
  reset(): void {
    resetOnClose(this.fd);
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    if (!this.closed) closeFd(this.fd);
    this.closed = true;
  }
}
