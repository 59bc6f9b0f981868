/** DNS over TCP (RFC 7766) at a network's resolver: many queries to a connection, answered in whatever order. */
import { Timer } from "../stack/timers.ts";
import { EPOLL } from "../sys/epoll.ts";
import { ERRNO, sysError } from "../sys/errno.ts";
import { acceptSocket, closeSocket, receivePart, relayStream, SocketAddress, sendPart } from "../sys/inet.ts";
import { bytes } from "../sys/mem.ts";
import { emitError, RCODE } from "../wire/dns.ts";
import type { Answered } from "./dns.ts";
import { StreamQuery } from "./dns-stream-query.ts";
import type { Loop, Ready } from "./loop.ts";
import type { Outbound } from "./outbound.ts";
import type { Resolver } from "./resolv-conf.ts";

/** Connections at once, of all and of one asker; one more, and the one that was silent for the longest is closed. */
const MOST_CONNECTIONS = 256;
const MOST_OF_ONE = 64;
/** Connections taken at one wake-up. */
const BATCH = 64;
/** Queries of one connection under way; more are read when some are answered. */
const MOST_QUERIES = 32;
/** Queries under way by all of them; one more fails. */
const MOST_OF_ALL = 256;
/** Milliseconds without a whole query, or an answer taken, after which a connection is closed. */
const IDLE = 10_000;
/** When descriptors run out nobody is accepted for this long, in milliseconds. */
const BACK_OFF = 100;

/** Asks resolvers; false when that can't be. */
export type Ask = (message: Uint8Array, answered: Answered, resolvers: readonly Resolver[]) => boolean;

export interface DnsStreamsOptions {
  loop: Loop;
  outbound: Outbound;
  /** The answer to a message from an address, or that others are to be asked; undefined: not worth an answer. */
  judge: (from: Uint8Array, message: Uint8Array) => Uint8Array<ArrayBuffer> | "forward" | undefined;
  /** Has `ask` ask the resolvers that are the asker's, if he may; false: no answer will come. */
  forward: (from: Uint8Array, message: Uint8Array, answered: Answered, ask: Ask) => boolean;
}

const peer = new SocketAddress();
const buffer = bytes(65_536);

export class DnsStreams implements Ready {
  private readonly listeners: number[] = [];
  /** The one that was silent for the longest comes first. */
  private readonly connections = new Set<Connection>();
  private readonly queries = new Set<StreamQuery>();
  private readonly resume = new Timer(() => this.pause(EPOLL.IN));

  constructor(private readonly options: DnsStreamsOptions) {}

  /** Accepts from a listening socket, which is ours from now on. */
  listen(fd: number): void {
    relayStream(fd);
    const result = this.options.loop.add(fd, EPOLL.IN, this);
    if (result < 0) throw sysError("epoll_ctl", -result);
    this.listeners.push(fd);
  }

  ready(now: number, listener: number): void {
    for (let count = 0; count < BATCH; count++) {
      const fd = acceptSocket(listener, peer);
      if (fd === -ERRNO.EMFILE || fd === -ERRNO.ENFILE) {
        this.pause(0);
        this.options.loop.timers.set(this.resume, now + BACK_OFF);
      }
      // Other errors are of callers that are gone already.
      if (fd < 0) return;
      this.makeRoom(peer.address);
      const connection = new Connection(this, this.options, fd, peer.address);
      this.connections.add(connection);
      connection.start(now);
    }
  }

  private makeRoom(from: Uint8Array): void {
    const key = from.join();
    const own = [...this.connections].filter(one => one.from.join() === key);
    if (own.length >= MOST_OF_ONE) own[0]!.close();
    else if (this.connections.size >= MOST_CONNECTIONS) this.connections.values().next().value!.close();
  }

  private pause(events: number): void {
    for (const fd of this.listeners) this.options.loop.change(fd, events);
  }

  /** The connection has been heard of. */
  renew(connection: Connection): void {
    this.connections.delete(connection);
    this.connections.add(connection);
  }

  forget(connection: Connection): void {
    this.connections.delete(connection);
  }

  /** Asks resolvers, by TCP too. */
  ask(message: Uint8Array, answered: Answered, resolvers: readonly Resolver[]): boolean {
    if (this.queries.size >= MOST_OF_ALL) return false;
    const { loop, outbound } = this.options;
    const query = new StreamQuery({ loop, outbound, resolvers }, message, answer => {
      this.queries.delete(query);
      answered(answer);
    });
    this.queries.add(query);
    query.start();
    return true;
  }

  close(): void {
    const { loop } = this.options;
    loop.timers.cancel(this.resume);
    for (const fd of this.listeners) {
      loop.unwatch(fd);
      closeSocket(fd);
    }
    for (const connection of [...this.connections]) connection.close();
    for (const query of this.queries) query.close();
  }
}

class Connection implements Ready {
  private readonly idle = new Timer(() => this.close());
  /** Bytes of messages that are not whole yet. */
  private heard = Buffer.alloc(0);
  /** What the peer has not taken yet. */
  private unsent: Uint8Array<ArrayBuffer> = bytes(0);
  private underWay = 0;
  private ended = false;
  private closed = false;
  private events: number = EPOLL.IN;

  constructor(
    private readonly streams: DnsStreams,
    private readonly options: DnsStreamsOptions,
    private readonly fd: number,
    readonly from: Uint8Array,
  ) {}

  start(now: number): void {
    if (this.options.loop.add(this.fd, EPOLL.IN, this) < 0) this.close();
    else this.heardOf(now);
  }

  private heardOf(now: number): void {
    this.options.loop.timers.set(this.idle, now + IDLE);
  }

  ready(now: number, _fd: number, events: number): void {
    if (events & (EPOLL.ERR | EPOLL.HUP)) this.close();
    if (events & EPOLL.OUT) this.flush(now);
    if (events & EPOLL.IN) this.read();
    this.goOn(now);
  }

  private read(): void {
    if (this.closed) return;
    const length = receivePart(this.fd, buffer, 0, buffer.length);
    if (length < 0) {
      if (length !== -ERRNO.EAGAIN) this.close();
      return;
    }
    if (length === 0) this.ended = true;
    this.heard = Buffer.concat([this.heard, buffer.subarray(0, length)]);
  }

  /** Takes what messages it may, and says what is waited for next. */
  private goOn(now: number): void {
    while (this.mayAsk()) {
      // Two bytes of length come before each message (RFC 1035, 4.2.2).
      const end = this.heard.length < 2 ? Number.POSITIVE_INFINITY : 2 + this.heard.readUInt16BE(0);
      if (end > this.heard.length) break;
      const message = Uint8Array.from(this.heard.subarray(2, end));
      this.heard = this.heard.subarray(end);
      this.take(now, message);
    }
    this.settle();
  }

  private mayAsk(): boolean {
    return !this.closed && this.underWay < MOST_QUERIES && this.unsent.length === 0;
  }

  private take(now: number, message: Uint8Array): void {
    const { from, options, streams } = this;
    const verdict = options.judge(from, message);
    if (!verdict) {
      // Whoever speaks something else is not listened to any longer.
      this.close();
      return;
    }
    this.heardOf(now);
    streams.renew(this);
    if (verdict !== "forward") {
      this.send(now, verdict);
      return;
    }
    const answered: Answered = answer => {
      this.underWay--;
      const later = performance.now();
      this.send(later, answer);
      this.goOn(later);
    };
    const asked = options.forward(from, message, answered, (...query) => streams.ask(...query));
    if (asked) this.underWay++;
    else this.send(now, emitError(message, RCODE.SERVFAIL));
  }

  private send(now: number, message: Uint8Array): void {
    if (this.closed) return;
    const framed = bytes(this.unsent.length + 2 + message.length);
    framed.set(this.unsent);
    new DataView(framed.buffer).setUint16(this.unsent.length, message.length);
    framed.set(message, this.unsent.length + 2);
    this.unsent = framed;
    this.flush(now);
  }

  private flush(now: number): void {
    if (this.closed) return;
    const sent = sendPart(this.fd, this.unsent, 0, this.unsent.length);
    if (sent < 0) {
      if (sent !== -ERRNO.EAGAIN) this.close();
      return;
    }
    const rest = bytes(this.unsent.length - sent);
    rest.set(this.unsent.subarray(sent));
    this.unsent = rest;
    this.heardOf(now);
  }

  /** Watches for what is waited for; when nothing more will come and all is said, that is the end. */
  private settle(): void {
    if (this.ended && this.underWay === 0 && this.unsent.length === 0) this.close();
    if (this.closed) return;
    const reading = !this.ended && this.mayAsk();
    const events = (reading ? EPOLL.IN : 0) | (this.unsent.length > 0 ? EPOLL.OUT : 0);
    if (events !== this.events) this.options.loop.change(this.fd, events);
    this.events = events;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    const { loop } = this.options;
    loop.timers.cancel(this.idle);
    loop.forget(this.fd);
    closeSocket(this.fd);
    this.streams.forget(this);
  }
}
