/**
 * DNS over TCP (RFC 7766): a connection to one of the host's resolvers, tried in turn until one takes it. The guest's
 * SYN is answered when one has, and refused when none does.
 */

import { Timer } from "../stack/timers.ts";
import { EPOLL } from "../sys/epoll.ts";
import { ERRNO } from "../sys/errno.ts";
import {
  closeSocket,
  connectSocket,
  IPPROTO,
  openSocket,
  relayStream,
  replaceSocket,
  SocketAddress,
} from "../sys/inet.ts";
import { interfaceIndex } from "../sys/interface.ts";
import { SOCK } from "../sys/socket.ts";
import type { Loop, Ready } from "./loop.ts";
import type { Outbound } from "./outbound.ts";
import { ALL_EDGES } from "./readiness.ts";
import type { Resolver } from "./resolv-conf.ts";

/** How long one resolver may take before the next is tried, while there is a next, in milliseconds. */
const PATIENCE = 1000;

export interface ResolverConnection {
  loop: Loop;
  outbound: Outbound;
  resolvers: readonly Resolver[];
  port: number;
  /** Hears of the socket once it is connected, or once the last attempt has failed. */
  sink: Ready;
}

/** Begins; gives the socket's descriptor, which stays the same from attempt to attempt, or a negative errno. */
export function connectToResolver(connection: ResolverConnection): number {
  return new Attempt(connection).begin();
}

const address = new SocketAddress();

class Attempt implements Ready {
  private fd = -1;
  private next = 0;
  private readonly timer = new Timer(() => this.patienceIsOver());

  constructor(private readonly connection: ResolverConnection) {}

  begin(): number {
    const result = this.start();
    if (result < 0 && this.fd >= 0) closeSocket(this.fd);
    return result;
  }

  /** Tries resolvers from `next` on until one begins to connect. The descriptor or the last errno, negative. */
  private start(): number {
    const { loop, resolvers } = this.connection;
    let result: number = -ERRNO.ENETUNREACH;
    while (this.next < resolvers.length) {
      result = this.connect(resolvers[this.next++]!);
      if (result < 0) continue;
      const fd = this.install(result);
      if (fd < 0) return fd;
      if (this.next < resolvers.length) loop.timers.set(this.timer, performance.now() + PATIENCE);
      return fd;
    }
    return result;
  }

  private connect(resolver: Resolver): number {
    const { family, bytes } = resolver.ip;
    const fd = openSocket(family, SOCK.STREAM, IPPROTO.TCP);
    if (fd < 0) return fd;
    relayStream(fd);
    let result = this.connection.outbound.bind(fd, family, bytes);
    const scope = resolver.zone ? interfaceIndex(resolver.zone) : 0;
    if (result === 0) result = connectSocket(fd, address.set(family, bytes, this.connection.port, scope));
    if (result === 0 || result === -ERRNO.EINPROGRESS) return fd;
    closeSocket(fd);
    return result;
  }

  /** Gives the new socket the descriptor that the stack knows. */
  private install(fd: number): number {
    const { loop } = this.connection;
    if (this.fd >= 0) {
      loop.forget(this.fd);
      replaceSocket(fd, this.fd);
    } else this.fd = fd;
    return loop.add(this.fd, ALL_EDGES, this) < 0 ? -ERRNO.ENOMEM : this.fd;
  }

  ready(now: number, fd: number, events: number): void {
    const { loop, sink, resolvers } = this.connection;
    const failed = (events & (EPOLL.ERR | EPOLL.HUP)) !== 0;
    if (failed && this.next < resolvers.length && this.start() >= 0) return;
    loop.timers.cancel(this.timer);
    loop.hand(fd, sink);
    sink.ready(now, fd, events);
  }

  /** This resolver is silent. If no other can even be tried, the wait for it goes on. */
  private patienceIsOver(): void {
    if (this.connection.loop.listens(this.fd, this)) this.start();
  }
}
