/** One published UDP port. It remembers which of the host's addresses each caller has asked: answers come from there. */
import type { Endpoint } from "../stack/endpoint.ts";
import type { Destination } from "../stack/outside.ts";
import { DatagramIo, type LocalEnd, takeQueuedError, wantErrors, wantLocalAddress } from "../sys/datagram.ts";
import { EPOLL } from "../sys/epoll.ts";
import { ERRNO, sysError } from "../sys/errno.ts";
import { closeSocket, getInt, LEVEL, SO, SocketAddress } from "../sys/inet.ts";
import { bytes } from "../sys/mem.ts";
import type { IpAddress } from "../wire/addr.ts";
import { endpointOf, type Guest } from "./guest.ts";
import type { Ready } from "./loop.ts";

/** Datagrams taken at one wake-up. */
const BATCH = 32;
/** Callers remembered by one port; the first to come is the first to be forgotten. */
const MOST_CALLERS = 4096;

const io = new DatagramIo();
const address = new SocketAddress();
const buffer = bytes(65_536);

export class PublishedUdp implements Ready {
  /** By caller: what it has asked. */
  private readonly asked = new Map<string | number, LocalEnd>();
  /** Bound to all addresses of the host: an answer must be told which to leave from. */
  private readonly wildcard: boolean;

  constructor(
    private readonly guest: Guest,
    private readonly fd: number,
    host: IpAddress,
    private readonly to: Endpoint,
  ) {
    wantErrors(fd, host.family);
    this.wildcard = host.bytes.every(byte => byte === 0);
    if (this.wildcard) wantLocalAddress(fd, host.family);
    const result = guest.loop.add(fd, EPOLL.IN, this);
    if (result < 0) {
      closeSocket(fd);
      throw sysError("epoll_ctl", -result);
    }
  }

  ready(now: number, fd: number, events: number): void {
    // An answer that met a closed port; there is nobody to tell, but it must be taken or epoll tells it for ever.
    if (events & EPOLL.ERR) this.dropErrors(fd);
    for (let count = 0; count < BATCH; count++) {
      const length = io.receive(fd, buffer, 0, buffer.length);
      if (length === -ERRNO.EAGAIN) return;
      if (length < 0) continue;
      if (this.wildcard) this.remember();
      this.guest.datagramArrived(now, fd, endpointOf(io.peer), this.to, buffer, 0, length);
    }
  }

  private dropErrors(fd: number): void {
    getInt(fd, LEVEL.SOCKET, SO.ERROR);
    while (takeQueuedError(fd) > 0);
  }

  /** Remembers which of our addresses the sender of the datagram that was just received has asked. */
  private remember(): void {
    const key = keyOf(io.peer.address, io.peer.port);
    const local = io.local!;
    if (this.asked.get(key) === local) return;
    this.asked.delete(key);
    if (this.asked.size >= MOST_CALLERS) this.asked.delete(this.asked.keys().next().value!);
    this.asked.set(key, local);
  }

  /** A datagram from the guest to a caller. */
  send(to: Destination, data: Uint8Array<ArrayBuffer>, start: number, length: number): number {
    const from = this.wildcard ? this.asked.get(keyOf(to.address, to.port)) : undefined;
    address.set(to.family, to.address, to.port);
    const sent = io.send(this.fd, address, from, data, start, length);
    if (sent >= 0 || sent === -ERRNO.EAGAIN || sent === -ERRNO.EMSGSIZE) return sent;
    // The error of an earlier answer, to whomever.
    this.dropErrors(this.fd);
    return io.send(this.fd, address, from, data, start, length);
  }

  close(): void {
    this.guest.datagramsClosed(performance.now(), this.fd);
    this.guest.loop.unwatch(this.fd);
    closeSocket(this.fd);
  }
}

/** A number for IPv4, a string for IPv6: what a Map finds fast. */
function keyOf(address: Uint8Array, port: number): string | number {
  if (address.length === 16) return `${address.join()} ${port}`;
  const high = address[0]! * 0x1000000 + (address[1]! << 16) + (address[2]! << 8) + address[3]!;
  return high * 0x10000 + port;
}
