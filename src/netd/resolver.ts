/**
 * The resolver of one network: at its gateway's addresses, port 53, it tells the names of the network's containers and asks
 * the host's resolvers for all others. Whoever is not of the network's subnets is not answered.
 */
import { DatagramIo } from "../sys/datagram.ts";
import { EPOLL } from "../sys/epoll.ts";
import { ERRNO, sysError } from "../sys/errno.ts";
import { closeSocket, SocketAddress } from "../sys/inet.ts";
import { bytes } from "../sys/mem.ts";
import { contains, type IpAddress } from "../wire/addr.ts";
import { emitError, emitReply, isQuery, parseQuery, RCODE } from "../wire/dns.ts";
import { type Answered, DnsForwarder } from "./dns.ts";
import { type Ask, DnsStreams } from "./dns-streams.ts";
import type { Loop, Ready } from "./loop.ts";
import type { NamedNetwork, NameTable } from "./names.ts";
import { Outbound } from "./outbound.ts";
import type { ResolvConf } from "./resolv-conf.ts";

/** Seconds that an answer may be remembered: a container that is started again may have another address. */
const TTL = 0;
/** Datagrams taken at one wake-up. */
const BATCH = 32;
/** Queries of one asker that wait for the host's resolvers. */
const MOST_OF_ONE = 128;

export interface ResolverOptions {
  loop: Loop;
  resolvConf: ResolvConf;
  names: NameTable;
  network: NamedNetwork;
  /** For each address of the network's resolver a UDP socket and a listening TCP socket; they belong to the resolver from here on. */
  sockets: readonly number[];
}

const io = new DatagramIo();
const to = new SocketAddress();
const received = bytes(65_536);

export class NetworkResolver implements Ready {
  private readonly forwarder: DnsForwarder;
  private readonly streams: DnsStreams;
  private readonly datagrams: number[] = [];
  /** By asker: queries under way. */
  private readonly waiting = new Map<string, number>();

  constructor(private readonly options: ResolverOptions) {
    const { loop, sockets } = options;
    const outbound = new Outbound();
    this.forwarder = new DnsForwarder({ loop, resolvConf: options.resolvConf, outbound });
    this.streams = new DnsStreams({
      loop,
      outbound,
      judge: (from, message) => this.judge(from, message, true),
      forward: (from, message, answered, ask) => this.forward(from, message, answered, ask),
    });
    try {
      for (const [index, fd] of sockets.entries()) {
        if (index % 2 === 1) this.streams.listen(fd);
        else this.listen(fd);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get network(): string {
    return this.options.network.name;
  }

  private listen(fd: number): void {
    const result = this.options.loop.add(fd, EPOLL.IN, this);
    if (result < 0) throw sysError("epoll_ctl", -result);
    this.datagrams.push(fd);
  }

  ready(_now: number, fd: number): void {
    for (let count = 0; count < BATCH; count++) {
      const length = io.receive(fd, received, 0, received.length);
      if (length === -ERRNO.EAGAIN) return;
      if (length < 0) continue;
      const { family, address, port } = io.peer;
      const message = received.slice(0, length);
      const answered: Answered = answer =>
        void io.send(fd, to.set(family, address, port), undefined, answer, 0, answer.length);
      const verdict = this.judge(address, message, false);
      // One that can't be asked for is asked again.
      if (verdict === "forward")
        this.forward(address, message, answered, (...query) => this.forwarder.query(...query));
      else if (verdict) answered(verdict);
    }
  }

  /** Our own answer to a message from `from`; undefined for what is not worth one. */
  private judge(
    from: Uint8Array,
    message: Uint8Array,
    stream: boolean,
  ): Uint8Array<ArrayBuffer> | "forward" | undefined {
    const { network, names } = this.options;
    const ip: IpAddress = { family: from.length === 4 ? 4 : 6, bytes: from };
    if (!isQuery(message) || !network.subnets.some(subnet => contains(subnet, ip))) return undefined;
    const query = parseQuery(message);
    if (!query) return emitError(message, RCODE.FORMERR);
    const verdict = names.answer(network, from, query);
    return verdict === "forward" ? verdict : emitReply(message, query, verdict, TTL, stream);
  }

  /** Has `ask` ask, unless the asker has too many questions under way. */
  private forward(from: Uint8Array, message: Uint8Array, answered: Answered, ask: Ask): boolean {
    const key = from.join();
    const count = this.waiting.get(key) ?? 0;
    if (count >= MOST_OF_ONE) return false;
    const done: Answered = answer => {
      const left = this.waiting.get(key)! - 1;
      if (left === 0) this.waiting.delete(key);
      else this.waiting.set(key, left);
      answered(answer);
    };
    const { names, network, resolvConf } = this.options;
    const asked = ask(message, done, names.resolversFor(network.name, from, resolvConf.nameservers));
    if (asked) this.waiting.set(key, count + 1);
    return asked;
  }

  close(): void {
    const { loop } = this.options;
    for (const fd of this.datagrams) {
      loop.unwatch(fd);
      closeSocket(fd);
    }
    this.forwarder.close();
    this.streams.close();
  }
}
