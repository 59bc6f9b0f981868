/**
 * DNS at the guest's DNS address: each query goes to the host's resolvers by UDP, from a socket, a port and an id of its
 * own (RFC 5452), and the first good answer goes back under the guest's id. Answers pass as they are, truncated ones
 * too: the guest then asks by TCP.
 */
import { Timer } from "../stack/timers.ts";
import { EPOLL } from "../sys/epoll.ts";
import { ERRNO } from "../sys/errno.ts";
import {
  closeSocket,
  connectSocket,
  IPPROTO,
  openSocket,
  receivePart,
  SocketAddress,
  sendPart,
} from "../sys/inet.ts";
import { interfaceIndex } from "../sys/interface.ts";
import { bytes } from "../sys/mem.ts";
import { SOCK } from "../sys/socket.ts";
import { emitError, HEADER, lower, questionEnd, RCODE } from "../wire/dns.ts";
import type { Loop, Ready } from "./loop.ts";
import type { Outbound } from "./outbound.ts";
import type { ResolvConf, Resolver } from "./resolv-conf.ts";

/** Queries under way for one guest; more are not answered, and the guest asks again. */
const MOST_QUERIES = 512;
/** Milliseconds until the next resolver is asked too; the earlier ones may still answer. */
const NEXT_RESOLVER = 300;
/** Milliseconds between the rounds once all have been asked. */
const NEXT_ROUND = 1000;
/** Times that each resolver is asked. */
const ROUNDS = 2;
/** Milliseconds after which the guest hears that nobody answered; the C library's patience is 5 seconds. */
const PATIENCE = 4800;
const DNS_PORT = 53;

export interface DnsForwarderOptions {
  loop: Loop;
  resolvConf: ResolvConf;
  outbound: Outbound;
}

/** Gets the answer; the message is its own to keep. */
export type Answered = (message: Uint8Array<ArrayBuffer>) => void;

export class DnsForwarder {
  private readonly queries = new Set<Query>();

  constructor(private readonly options: DnsForwarderOptions) {}

  /**
   * A message of the guest's, for the host's resolvers where no others are named. False, and no answer comes, for what is no
   * query, or one too many.
   */
  query(
    message: Uint8Array,
    answered: Answered,
    resolvers: readonly Resolver[] = this.options.resolvConf.nameservers,
  ): boolean {
    if (this.queries.size >= MOST_QUERIES || questionEnd(message) < 0) return false;
    const copy = bytes(message.length);
    copy.set(message);
    const query = new Query(this.options, copy, resolvers, answer => {
      this.queries.delete(query);
      answered(answer);
    });
    this.queries.add(query);
    query.start();
    return true;
  }

  close(): void {
    for (const query of this.queries) query.close();
    this.queries.clear();
  }
}

const address = new SocketAddress();
const received = bytes(65_536);
const ids = new Uint16Array(1);

class Query implements Ready {
  private readonly questionEnd: number;
  private readonly guestId: number;
  /** By socket: the id that was sent. */
  private readonly asked = new Map<number, number>();
  private readonly timer = new Timer(now => this.askNext(now));
  private readonly end = new Timer(() => this.finish(undefined));
  private count = 0;
  /** A refusal of one resolver, kept in case no other knows better. */
  private refusal: Uint8Array<ArrayBuffer> | undefined;

  constructor(
    private readonly options: DnsForwarderOptions,
    private readonly message: Uint8Array<ArrayBuffer>,
    private readonly resolvers: readonly Resolver[],
    private readonly done: Answered,
  ) {
    this.questionEnd = questionEnd(message);
    this.guestId = idOf(message);
  }

  start(): void {
    const now = performance.now();
    this.options.loop.timers.set(this.end, now + PATIENCE);
    this.askNext(now);
    // Whoever asked is still in the middle of it: where nobody can be asked, that is told a little later.
    if (this.asked.size === 0) this.options.loop.timers.set(this.end, now);
  }

  /** Asks the next resolver that can be asked, and says when the one after it will be. */
  private askNext(now: number): void {
    const { length } = this.resolvers;
    while (this.count < length * ROUNDS) {
      const asked = this.ask(this.resolvers[this.count++ % length]!);
      if (!asked) continue;
      if (this.count < length * ROUNDS)
        this.options.loop.timers.set(this.timer, now + (this.count < length ? NEXT_RESOLVER : NEXT_ROUND));
      return;
    }
  }

  private ask(resolver: Resolver): boolean {
    const { loop, outbound } = this.options;
    const { family, bytes: to } = resolver.ip;
    const fd = openSocket(family, SOCK.DGRAM, IPPROTO.UDP);
    if (fd < 0) return false;
    const id = crypto.getRandomValues(ids)[0]!;
    setId(this.message, id);
    const scope = resolver.zone ? interfaceIndex(resolver.zone) : 0;
    const failed =
      outbound.bind(fd, family, to) < 0 ||
      connectSocket(fd, address.set(family, to, DNS_PORT, scope)) < 0 ||
      loop.add(fd, EPOLL.IN, this) < 0;
    if (!failed && sendPart(fd, this.message, 0, this.message.length) >= 0) {
      this.asked.set(fd, id);
      return true;
    }
    loop.forget(fd);
    closeSocket(fd);
    return false;
  }

  ready(now: number, fd: number): void {
    for (;;) {
      const length = receivePart(fd, received, 0, received.length);
      if (length === -ERRNO.EAGAIN) return;
      if (length < 0) break;
      if (!this.isAnswer(fd, length)) continue;
      const answer = received.slice(0, length);
      setId(answer, this.guestId);
      if (!isRefusal(answer)) {
        this.finish(answer);
        return;
      }
      this.refusal = answer;
      break;
    }
    // Nobody is there, or nobody who wants to answer: the next one's turn.
    this.drop(fd);
    this.options.loop.timers.cancel(this.timer);
    this.askNext(now);
    if (this.asked.size === 0) this.finish(undefined);
  }

  /** It has the id that went out by this socket, and repeats the question. */
  private isAnswer(fd: number, length: number): boolean {
    const { message } = this;
    if (length < this.questionEnd || idOf(received) !== this.asked.get(fd)) return false;
    if ((received[2]! & 0x80) === 0 || received[4] !== 0 || received[5] !== 1) return false;
    for (let at = HEADER; at < this.questionEnd; at++)
      if (lower(received[at]!) !== lower(message[at]!)) return false;
    return true;
  }

  private drop(fd: number): void {
    this.options.loop.forget(fd);
    this.asked.delete(fd);
    closeSocket(fd);
  }

  private finish(answer: Uint8Array<ArrayBuffer> | undefined): void {
    this.close();
    this.done(answer ?? this.refusal ?? this.failure());
  }

  /** SERVFAIL in the guest's own words. */
  private failure(): Uint8Array<ArrayBuffer> {
    const answer = emitError(this.message, RCODE.SERVFAIL);
    setId(answer, this.guestId);
    return answer;
  }

  close(): void {
    this.options.loop.timers.cancel(this.timer);
    this.options.loop.timers.cancel(this.end);
    for (const fd of [...this.asked.keys()]) this.drop(fd);
  }
}

/** The resolver can't or won't: another may. */
function isRefusal(answer: Uint8Array): boolean {
  const code = answer[3]! & 0x0f;
  return code === RCODE.SERVFAIL || code === RCODE.NOTIMP || code === RCODE.REFUSED;
}

const idOf = (message: Uint8Array) => (message[0]! << 8) | message[1]!;

function setId(message: Uint8Array, id: number): void {
  message[0] = id >> 8;
  message[1] = id & 0xff;
}
