/**
 * Datagrams with what travels beside them: the peer's address, the local address they were sent to (IP_PKTINFO,
 * ipv6(7)), and errors that ICMP brought (the error queue, ip(7) IP_RECVERR).
 */
import { ERRNO } from "./errno.ts";
import { IP_OPTION, IPPROTO, IPV6_OPTION, LEVEL, SocketAddress, setInt } from "./inet.ts";
import { errnoNow } from "./libc.ts";
import { addressOf, bytes } from "./mem.ts";
import { controlSpace, MessageHeader } from "./message.ts";
import { packetLibc } from "./packet-libc.ts";
import { MSG } from "./socket.ts";

const MSG_ERRQUEUE = 0x2000;
const UDP_SEGMENT = 103;
/** `struct in_pktinfo`: interface, local address, destination address; `struct in6_pktinfo`: address, interface. */
const PKTINFO4 = 12;
const PKTINFO6 = 20;

/** Errors that ICMP brings are queued with their cause. */
export function wantErrors(fd: number, family: 4 | 6): number {
  return family === 6
    ? setInt(fd, LEVEL.IPV6, IPV6_OPTION.RECVERR, 1)
    : setInt(fd, LEVEL.IP, IP_OPTION.RECVERR, 1);
}

/** Each datagram tells which of our addresses it was sent to. */
export function wantLocalAddress(fd: number, family: 4 | 6): number {
  return family === 6
    ? setInt(fd, LEVEL.IPV6, IPV6_OPTION.RECVPKTINFO, 1)
    : setInt(fd, LEVEL.IP, IP_OPTION.PKTINFO, 1);
}

/** The way a datagram came and its answer goes. Never changed once made. */
export interface LocalEnd {
  /** Our own address, 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** The interface's number; it matters for link-local addresses. */
  readonly interface: number;
}

const queue = new MessageHeader(28, controlSpace(64));
const queueData = bytes(64);

/** Takes the next error off a socket's queue: a positive errno, 0 when the queue is empty. */
export function takeQueuedError(fd: number): number {
  queue.setData(queueData, 0, queueData.length);
  queue.nameLength = queue.name.length;
  queue.controlLength = queue.control.length;
  const count = packetLibc.recvmsg(fd, addressOf(queue.bytes), MSG_ERRQUEUE | MSG.DONTWAIT);
  if (count < 0) return 0;
  const four = queue.findControl(LEVEL.IP, IP_OPTION.RECVERR);
  const at = four >= 0 ? four : queue.findControl(LEVEL.IPV6, IPV6_OPTION.RECVERR);
  // The first field of struct sock_extended_err is ee_errno.
  return at < 0 ? 0 : queue.controlView.getUint32(at, true);
}

/** One socket's worth of structures for sendmsg(2) and recvmsg(2) with addresses; not for two calls at once. */
export class DatagramIo {
  /** Who sent the datagram that `receive` gave. */
  readonly peer = new SocketAddress();
  /** Where it was sent to, if the socket was asked to tell; the same object as long as that is the same. */
  local: LocalEnd | undefined;
  private readonly receiving = new MessageHeader(28, controlSpace(PKTINFO6) * 2);
  private readonly sending = new MessageHeader(28, controlSpace(PKTINFO6));
  private readonly info4 = bytes(PKTINFO4);
  private readonly info6 = bytes(PKTINFO6);

  /** recvmsg(2): the datagram's length or a negative errno; `peer` and `local` tell the rest. */
  receive(fd: number, buffer: Uint8Array<ArrayBuffer>, start: number, length: number): number {
    const header = this.receiving;
    header.setData(buffer, start, length);
    header.nameLength = header.name.length;
    header.controlLength = header.control.length;
    for (;;) {
      const count = packetLibc.recvmsg(fd, addressOf(header.bytes), 0);
      if (count >= 0) {
        this.peer.bytes.set(header.name);
        this.readLocal();
        return count;
      }
      const errno = errnoNow();
      if (errno !== ERRNO.EINTR) return -errno;
    }
  }

  private readLocal(): void {
    const { control, controlView } = this.receiving;
    const four = this.receiving.findControl(LEVEL.IP, IP_OPTION.PKTINFO);
    // ipi_spec_dst, not ipi_addr: where a broadcast was received, not where it was sent to.
    if (four >= 0) {
      this.setLocal(control.subarray(four + 4, four + 8), controlView.getInt32(four, true));
      return;
    }
    const six = this.receiving.findControl(LEVEL.IPV6, IPV6_OPTION.PKTINFO);
    if (six >= 0) this.setLocal(control.subarray(six, six + 16), controlView.getInt32(six + 16, true));
  }

  private setLocal(address: Uint8Array, number: number): void {
    const { local } = this;
    if (local?.interface === number && same(local.address, address)) return;
    this.local = { address: address.slice(), interface: number };
  }

  /** sendmsg(2) to `to`, from the local address `from` where one is given: the length or a negative errno. */
  send(
    fd: number,
    to: SocketAddress,
    from: LocalEnd | undefined,
    buffer: Uint8Array<ArrayBuffer>,
    start: number,
    length: number,
  ): number {
    const header = this.sending;
    header.setData(buffer, start, length);
    header.name.set(to.bytes);
    header.nameLength = to.size;
    header.controlLength = from === undefined ? 0 : this.putLocal(from);
    for (;;) {
      const sent = packetLibc.sendmsg(fd, addressOf(header.bytes), MSG.NOSIGNAL);
      if (sent >= 0) return sent;
      const errno = errnoNow();
      if (errno !== ERRNO.EINTR) return -errno;
    }
  }

  private putLocal(from: LocalEnd): number {
    if (from.address.length === 4) {
      // The kernel routes by ipi_ifindex when it is set; the source address alone is what we want to keep.
      this.info4.set(from.address, 4);
      return this.sending.putControl(0, LEVEL.IP, IP_OPTION.PKTINFO, this.info4);
    }
    this.info6.set(from.address, 0);
    new DataView(this.info6.buffer).setInt32(16, linkLocal(from.address) ? from.interface : 0, true);
    return this.sending.putControl(0, LEVEL.IPV6, IPV6_OPTION.PKTINFO, this.info6);
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

const segmented = new MessageHeader(0, controlSpace(2));
const segmentSize = bytes(2);

/**
 * One sendmsg(2) for several datagrams of one connected socket (UDP_SEGMENT, udp(7)): `length` bytes in pieces of `size`,
 * of which the last may be shorter. 64 pieces at most. Gives `length` or a negative errno: -EINVAL where a piece does not
 * fit the path's MTU, -EIO where the device can't.
 */
export function sendSegments(
  fd: number,
  buffer: Uint8Array<ArrayBuffer>,
  start: number,
  length: number,
  size: number,
): number {
  segmentSize[0] = size & 0xff;
  segmentSize[1] = size >> 8;
  segmented.setData(buffer, start, length);
  segmented.controlLength = segmented.putControl(0, IPPROTO.UDP, UDP_SEGMENT, segmentSize);
  for (;;) {
    const sent = packetLibc.sendmsg(fd, addressOf(segmented.bytes), MSG.NOSIGNAL);
    if (sent >= 0) return sent;
    const errno = errnoNow();
    if (errno !== ERRNO.EINTR) return -errno;
  }
}

const linkLocal = (address: Uint8Array) => address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
