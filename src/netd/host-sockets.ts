/**
 * The world beyond one tap: the stack's requests as sockets of the host. A handle is the socket's descriptor.
 *
 * Every socket is registered once, edge-triggered, for both directions, and costs no epoll_ctl(2) afterwards; the stack
 * reads and writes until -EAGAIN, so no edge is missed.
 */
import { log } from "../base/log.ts";
import type { Destination, Handle, OutFrame, Outside } from "../stack/outside.ts";
import { takeQueuedError, wantErrors } from "../sys/datagram.ts";
import { EPOLL } from "../sys/epoll.ts";
import { ERRNO, errnoName } from "../sys/errno.ts";
import {
  closeSocket,
  connectSocket,
  getInt,
  IP_OPTION,
  IPPROTO,
  IPV6_OPTION,
  LEVEL,
  openSocket,
  receivePart,
  relayStream,
  resetOnClose,
  SO,
  SocketAddress,
  sendPart,
  setInt,
  shutdownSending,
} from "../sys/inet.ts";
import { SOCK } from "../sys/socket.ts";
import { connectToResolver } from "./dns-connect.ts";
import type { Frames } from "./frames.ts";
import type { Loop, Ready } from "./loop.ts";
import { isForbidden, type Outbound } from "./outbound.ts";
import type { PublishedPorts } from "./published.ts";
import { ALL_EDGES } from "./readiness.ts";
import type { ResolvConf } from "./resolv-conf.ts";
import { UdpBatch } from "./udp-batch.ts";
import { UdpPorts } from "./udp-ports.ts";

const LOOPBACK4 = Uint8Array.of(127, 0, 0, 1);
const LOOPBACK6 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
/** Bytes that wait while the plane is busy elsewhere; the kernel gives as much of it as net.core.rmem_max allows. */
const UDP_BUFFER = 1 << 20;
const NONE = 0;
const STREAM = 1;
const DATAGRAM = 2;
const ECHO = 3;

/** What one tap's sockets share. */
export interface HostSocketsContext {
  loop: Loop;
  frames: Frames;
  outbound: Outbound;
  resolvConf: ResolvConf;
  /** Hears of the stack's sockets. */
  sink: Ready;
}

export class HostSockets implements Outside {
  /** Set by the tap that makes all three. */
  dns!: (token: number, message: Uint8Array) => void;
  published!: PublishedPorts;
  private readonly udpPorts: UdpPorts;
  /** By descriptor: STREAM, DATAGRAM, ECHO, or NONE. */
  private readonly kinds: number[] = [];
  private readonly batch = new UdpBatch((handle, errno) => void this.lateErrors.set(handle, errno));
  /** What gathered datagrams met, until the batch is over and the stack is told. */
  private readonly lateErrors = new Map<Handle, number>();
  private readonly address = new SocketAddress();
  private pingRefused = false;
  private exhaustedAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly context: HostSocketsContext) {
    this.udpPorts = new UdpPorts(context.outbound);
  }

  emit(frame: OutFrame): void {
    this.context.frames.write(frame);
  }

  connectTcp(to: Destination): Handle {
    if (to.kind === "dns") return this.connectToDns(to.port);
    const address = this.addressOf(to);
    if (typeof address === "number") return address;
    const fd = this.open(to.family, SOCK.STREAM, IPPROTO.TCP);
    if (fd < 0) return fd;
    relayStream(fd);
    let result = this.context.outbound.bind(fd, to.family, address);
    if (result === 0) result = connectSocket(fd, this.address.set(to.family, address, to.port));
    if (result === -ERRNO.EINPROGRESS) result = 0;
    return this.register(fd, result, STREAM);
  }

  private connectToDns(port: number): Handle {
    const { loop, outbound, resolvConf, sink } = this.context;
    const fd = connectToResolver({ loop, outbound, resolvers: resolvConf.nameservers, port, sink });
    if (fd >= 0) this.kinds[fd] = STREAM;
    return fd;
  }

  openUdp(to: Destination, guestKey: string): Handle {
    const address = this.addressOf(to);
    if (typeof address === "number") return address;
    const fd = this.open(to.family, SOCK.DGRAM, IPPROTO.UDP);
    if (fd < 0) return fd;
    wantErrors(fd, to.family);
    setInt(fd, LEVEL.SOCKET, SO.RCVBUF, UDP_BUFFER);
    let result = this.udpPorts.bind(fd, to.family, address, guestKey);
    if (result === 0) result = connectSocket(fd, this.address.set(to.family, address, to.port));
    if (result === 0) this.udpPorts.purge(fd);
    return this.register(fd, result, DATAGRAM);
  }

  openPing(to: Destination): Handle {
    const address = this.addressOf(to);
    if (typeof address === "number") return address;
    const fd = this.open(to.family, SOCK.DGRAM, to.family === 6 ? IPPROTO.ICMPV6 : IPPROTO.ICMP);
    if (fd === -ERRNO.EACCES && !this.pingRefused) {
      this.pingRefused = true;
      log.warn("no ping: this user's group is not in the sysctl net.ipv4.ping_group_range");
    }
    if (fd < 0) return fd;
    wantErrors(fd, to.family);
    let result = this.context.outbound.bind(fd, to.family, address);
    if (result === 0) result = connectSocket(fd, this.address.set(to.family, address, 0));
    return this.register(fd, result, ECHO);
  }

  /** The address to connect to, or a negative errno for one that no guest may reach. */
  private addressOf(to: Destination): Uint8Array | number {
    if (to.kind === "loopback") return to.family === 6 ? LOOPBACK6 : LOOPBACK4;
    return isForbidden(to.address) ? -ERRNO.ENETUNREACH : to.address;
  }

  /** socket(2); says so once in a while when descriptors have run out. */
  private open(family: 4 | 6, type: number, protocol: number): number {
    const fd = openSocket(family, type, protocol);
    if (fd === -ERRNO.EMFILE || fd === -ERRNO.ENFILE) {
      const now = performance.now();
      if (now - this.exhaustedAt > 10_000) {
        this.exhaustedAt = now;
        log.warn(`new flows wait for free descriptors: ${errnoName(-fd)} (raise ulimit -n)`);
      }
    }
    return fd;
  }

  /** Registers a socket whose connect(2) gave `result`, or closes it. */
  private register(fd: number, result: number, kind: number): Handle {
    const { loop, sink } = this.context;
    const outcome = result < 0 ? result : loop.add(fd, ALL_EDGES, sink);
    if (outcome < 0) {
      this.udpPorts.release(fd);
      closeSocket(fd);
      return outcome;
    }
    this.kinds[fd] = kind;
    return fd;
  }

  /** Takes in a connection that a published port has accepted. */
  adopt(fd: number): number {
    return this.register(fd, 0, STREAM);
  }

  send(handle: Handle, buffer: Uint8Array<ArrayBuffer>, start: number, length: number): number {
    const kind = this.kinds[handle];
    if (kind === STREAM) return sendPart(handle, buffer, start, length);
    const sent =
      kind === DATAGRAM
        ? this.batch.send(handle, buffer, start, length)
        : sendPart(handle, buffer, start, length);
    // An earlier datagram's error is told by whatever call comes next: it is on the queue too, and this one was not sent.
    return sent < 0 && isEarlierError(sent) ? sendPart(handle, buffer, start, length) : sent;
  }

  /** The end of a batch of the guest's frames. */
  endBatch(now: number): void {
    this.batch.end();
    if (this.lateErrors.size === 0) return;
    for (const handle of [...this.lateErrors.keys()]) this.context.sink.ready(now, handle, EPOLL.ERR);
    this.lateErrors.clear();
  }

  receive(handle: Handle, buffer: Uint8Array<ArrayBuffer>, start: number, length: number): number {
    const count = receivePart(handle, buffer, start, length);
    return count < 0 && this.kinds[handle] !== STREAM && isEarlierError(count)
      ? receivePart(handle, buffer, start, length)
      : count;
  }

  sendTo(
    handle: Handle,
    to: Destination,
    buffer: Uint8Array<ArrayBuffer>,
    start: number,
    length: number,
  ): number {
    return this.published.sendTo(handle, to, buffer, start, length);
  }

  takeError(handle: Handle): number {
    if (this.kinds[handle] === STREAM) return Math.max(getInt(handle, LEVEL.SOCKET, SO.ERROR), 0);
    const late = this.lateErrors.get(handle);
    if (late !== undefined) {
      this.lateErrors.delete(handle);
      return late;
    }
    const queued = takeQueuedError(handle);
    return queued > 0 ? queued : Math.max(getInt(handle, LEVEL.SOCKET, SO.ERROR), 0);
  }

  pathMtu(handle: Handle): number {
    const four = getInt(handle, LEVEL.IP, IP_OPTION.MTU);
    return Math.max(four >= 0 ? four : getInt(handle, LEVEL.IPV6, IPV6_OPTION.MTU), 0);
  }

  shutdownWrite(handle: Handle): void {
    shutdownSending(handle);
  }

  close(handle: Handle): void {
    this.context.loop.forget(handle);
    this.batch.release(handle);
    this.udpPorts.release(handle);
    this.kinds[handle] = NONE;
    this.lateErrors.delete(handle);
    closeSocket(handle);
  }

  reset(handle: Handle): void {
    resetOnClose(handle);
    this.close(handle);
  }

  /** Closes every socket of the stack's. */
  resetAll(): void {
    for (let handle = 0; handle < this.kinds.length; handle++) if (this.kinds[handle]) this.reset(handle);
  }

  dnsQuery(token: number, message: Uint8Array): void {
    this.dns(token, message);
  }
}

/** True for what a call on a datagram socket says of another datagram than its own. */
function isEarlierError(result: number): boolean {
  return result !== -ERRNO.EAGAIN && result !== -ERRNO.EMSGSIZE && result !== -ERRNO.ENOBUFS;
}
