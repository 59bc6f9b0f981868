/**
 * One published UDP port. It remembers its callers: which of our addresses each has asked, so that the answer comes from
 * there, and what the guest was told is their address, where that is not the true one.
 */
import type { Endpoint } from "../stack/endpoint.ts";
import type { Destination } from "../stack/outside.ts";
import { DatagramIo, type LocalEnd, takeQueuedError, wantErrors, wantLocalAddress } from "../sys/datagram.ts";
import { EPOLL } from "../sys/epoll.ts";
import { ERRNO, sysError } from "../sys/errno.ts";
import { closeSocket, getInt, LEVEL, SO, SocketAddress } from "../sys/inet.ts";
import { bytes } from "../sys/mem.ts";
import type { IpAddress } from "../wire/addr.ts";
import { endpoint, GatewayPorts } from "./callers.ts";
import type { Ready } from "./loop.ts";
import type { Guest } from "./published.ts";

/** Datagrams taken at one wake-up. */
const BATCH = 32;
/** Callers remembered by one port; the one that was heard of longest ago is forgotten first. */
const MOST_CALLERS = 4096;

interface Caller {
  key: string | number;
  address: SocketAddress;
  local: LocalEnd | undefined;
  /** What the guest sees. */
  shown: Endpoint;
  shownKey: string | number;
  /** In `gatewayPorts`; -1 for a caller that is shown as it is. */
  gatewayKey: number;
}

const io = new DatagramIo();
const buffer = bytes(65_536);

export class PublishedUdp implements Ready {
  /** By their true address; the order is that of last use. */
  private readonly callers = new Map<string | number, Caller>();
  /** By what the guest sees. */
  private readonly shown = new Map<string | number, Caller>();
  private readonly gatewayPorts = new GatewayPorts();
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
      const caller = this.caller();
      if (caller) this.guest.datagramArrived(now, fd, caller.shown, this.to, buffer, 0, length);
    }
  }

  private dropErrors(fd: number): void {
    getInt(fd, LEVEL.SOCKET, SO.ERROR);
    while (takeQueuedError(fd) > 0);
  }

  /** Who sent the datagram that was just received; undefined when no more strangers can be told apart. */
  private caller(): Caller | undefined {
    const { peer } = io;
    const key = keyOf(peer.address, peer.port);
    const known = this.callers.get(key);
    if (known === undefined) return this.introduce(key);
    this.callers.delete(key);
    this.callers.set(key, known);
    known.local = this.local();
    return known;
  }

  private local(): LocalEnd | undefined {
    return this.wildcard ? io.local : undefined;
  }

  private introduce(key: string | number): Caller | undefined {
    if (this.callers.size >= MOST_CALLERS) this.forget(this.callers.values().next().value!);
    const { address, port } = io.peer;
    let gatewayKey = -1;
    let shown = endpoint(address, port);
    const shownAddress = this.guest.policy.clientAddress(shown, this.to);
    if (shownAddress !== address) {
      gatewayKey = this.gatewayPorts.take(port, this.to.port);
      if (gatewayKey < 0) return undefined;
      shown = endpoint(shownAddress, gatewayKey & 0xffff);
    }
    const caller: Caller = {
      key,
      address: new SocketAddress().copy(io.peer),
      local: this.local(),
      shown,
      shownKey: keyOf(shown.address, shown.port),
      gatewayKey,
    };
    this.callers.set(key, caller);
    this.shown.set(caller.shownKey, caller);
    return caller;
  }

  private forget(caller: Caller): void {
    this.callers.delete(caller.key);
    this.shown.delete(caller.shownKey);
    if (caller.gatewayKey >= 0) this.gatewayPorts.release(caller.gatewayKey);
  }

  /** A datagram from the guest to the caller that it knows as `to`. */
  send(to: Destination, data: Uint8Array<ArrayBuffer>, start: number, length: number): number {
    const caller = this.shown.get(keyOf(to.address, to.port));
    if (caller === undefined) return -ERRNO.EDESTADDRREQ;
    const sent = io.send(this.fd, caller.address, caller.local, data, start, length);
    if (sent >= 0 || sent === -ERRNO.EAGAIN || sent === -ERRNO.EMSGSIZE) return sent;
    // The error of an earlier answer, to whomever.
    this.dropErrors(this.fd);
    return io.send(this.fd, caller.address, caller.local, data, start, length);
  }

  close(): void {
    this.guest.datagramsClosed(performance.now(), this.fd);
    this.guest.loop.forget(this.fd);
    closeSocket(this.fd);
  }
}

/** A number for IPv4, a string for IPv6: what a Map finds fast. */
function keyOf(address: Uint8Array, port: number): string | number {
  if (address.length === 16) return `${address.join()} ${port}`;
  const high = address[0]! * 0x1000000 + (address[1]! << 16) + (address[2]! << 8) + address[3]!;
  return high * 0x10000 + port;
}
