/**
 * Echo requests of the guest to the world, through the host's ping sockets (icmp(7)), which need no privilege but
 * `net.ipv4.ping_group_range`. A flow for each guest, destination and identifier (RFC 5508, 3); the kernel puts the
 * socket's own identifier into what goes out, we the guest's into what comes back.
 */
import { ICMP, ICMP_TYPE, putIcmp } from "../wire/icmp.ts";
import { ICMPV6_TYPE } from "../wire/icmpv6.ts";
import { PROTOCOL } from "../wire/ipv4.ts";
import type { StackConfig } from "./config.ts";
import type { Endpoint } from "./endpoint.ts";
import { ERRNO } from "./errno.ts";
import { FlowTable } from "./flow-table.ts";
import type { IcmpErrors } from "./icmp-errors.ts";
import type { IpOutput } from "./ip-output.ts";
import { type Handle, type Outside, READY } from "./outside.ts";
import type { Packet } from "./packet.ts";
import type { Policy } from "./policy.ts";
import { Timer, type Timers } from "./timers.ts";
import { TURN, Turns } from "./turns.ts";

/** The least that RFC 5508 (REQ-2) allows. */
const TIMEOUT = 60_000;
const MAX_MESSAGE = 65_535;

class PingFlow {
  entry = -1;
  used = 0;
  /** The last request's, for errors. */
  sequence = 0;
  readonly timer: Timer;

  constructor(
    readonly guest: Endpoint,
    readonly peer: Endpoint,
    readonly identifier: number,
    readonly handle: Handle,
    expire: (flow: PingFlow) => void,
  ) {
    this.timer = new Timer(() => expire(this));
  }
}

export class PingLayer {
  readonly #config: StackConfig;
  readonly #outside: Outside;
  readonly #output: IpOutput;
  readonly #policy: Policy;
  readonly #errors: IcmpErrors;
  readonly #timers: Timers;
  readonly #flows: FlowTable<PingFlow>;
  readonly #owners: (PingFlow | undefined)[] = [];
  readonly #turns: Turns<PingFlow>;
  readonly #message = new Uint8Array(new ArrayBuffer(MAX_MESSAGE));

  constructor(
    config: StackConfig,
    outside: Outside,
    output: IpOutput,
    policy: Policy,
    errors: IcmpErrors,
    timers: Timers,
  ) {
    this.#config = config;
    this.#outside = outside;
    this.#output = output;
    this.#policy = policy;
    this.#errors = errors;
    this.#timers = timers;
    this.#flows = new FlowTable(config.secret);
    this.#turns = new Turns(timers, (now, flow) => {
      if (this.#owners[flow.handle] === flow) this.#receive(now, flow);
    });
  }

  get size(): number {
    return this.#flows.size;
  }

  /** An echo request from the guest to somebody else; it has its whole header. */
  request(now: number, packet: Packet): void {
    const { family, buffer, view, source, destination, transport, end } = packet;
    const identifier = view.getUint16(transport + ICMP.IDENTIFIER);
    const flow =
      this.#flows.find(family, buffer, source, buffer, destination, identifier, 0) ??
      this.#open(now, packet, identifier);
    if (!flow) return;
    flow.sequence = view.getUint16(transport + ICMP.SEQUENCE);
    this.#touch(now, flow);
    let sent = this.#outside.send(flow.handle, buffer, transport, end - transport);
    if (sent < 0 && sent !== -ERRNO.EAGAIN && sent !== -ERRNO.EMSGSIZE) {
      // As with UDP: the error is an earlier request's.
      this.#errors.answer(now, packet, -sent);
      sent = this.#outside.send(flow.handle, buffer, transport, end - transport);
    }
    if (sent !== -ERRNO.EMSGSIZE) return;
    const mtu = this.#outside.pathMtu(flow.handle);
    if (mtu > 0) this.#errors.answer(now, packet, ERRNO.EMSGSIZE, mtu);
  }

  /** True when the handle is ours. */
  ready(now: number, handle: Handle, events: number): boolean {
    const flow = this.#owners[handle];
    if (!flow) return false;
    if (events & READY.ERROR)
      for (let count = 0; count < TURN; count++) {
        const errno = this.#outside.takeError(handle);
        if (errno === 0) break;
        this.#report(now, flow, errno);
      }
    if (events & READY.READABLE) this.#receive(now, flow);
    return true;
  }

  close(): void {
    this.#flows.forEach(this.#forget);
  }

  #open(now: number, packet: Packet, identifier: number): PingFlow | undefined {
    const { family, buffer, source, destination } = packet;
    const route = this.#policy.route(family, buffer, destination, 0);
    if (typeof route === "number") {
      this.#errors.answer(now, packet, route);
      return undefined;
    }
    while (this.#flows.size >= this.#config.limits.pingFlows && this.#forgetIdlest());
    const handle = this.#outside.openPing(route);
    if (handle < 0) {
      // Where ping sockets are forbidden there is no answer, as if the echo were lost; whoever opens sockets says so.
      if (handle !== -ERRNO.EACCES) this.#errors.answer(now, packet, -handle);
      return undefined;
    }
    const size = family === 4 ? 4 : 16;
    const guest = { family, address: buffer.slice(source, source + size), port: 0 };
    const peer = { family, address: buffer.slice(destination, destination + size), port: 0 };
    const flow = new PingFlow(guest, peer, identifier, handle, this.#forget);
    flow.entry = this.#flows.add(family, guest.address, 0, peer.address, 0, identifier, 0, flow);
    this.#owners[handle] = flow;
    return flow;
  }

  #receive(now: number, flow: PingFlow): void {
    let failures = 0;
    for (let count = 0; count < TURN; count++) {
      const length = this.#outside.receive(flow.handle, this.#message, 0, MAX_MESSAGE);
      if (length === -ERRNO.EAGAIN) return;
      if (length < 0) {
        this.#report(now, flow, -length);
        failures++;
      } else if (length >= ICMP.HEADER) this.#reply(now, flow, length);
    }
    if (failures === TURN) this.#forget(flow);
    else this.#turns.wait(now, flow);
  }

  #reply(now: number, flow: PingFlow, length: number): void {
    const message = this.#message;
    const { guest, peer, identifier } = flow;
    const v4 = guest.family === 4;
    const type = v4 ? ICMP_TYPE.ECHO_REPLY : ICMPV6_TYPE.ECHO_REPLY;
    if (message[ICMP.TYPE] !== type) return;
    this.#touch(now, flow);
    const output = this.#output;
    const protocol = v4 ? PROTOCOL.ICMP : PROTOCOL.ICMPV6;
    const at = output.begin(guest.family, protocol, peer.address, 0, guest.address, 0);
    const sequence = (message[ICMP.SEQUENCE]! << 8) | message[ICMP.SEQUENCE + 1]!;
    putIcmp(output.view, at, type, 0, ((identifier << 16) | sequence) >>> 0);
    const { frame } = output;
    frame.payload = message;
    frame.payloadStart = ICMP.HEADER;
    frame.payloadLength = length - ICMP.HEADER;
    output.send(ICMP.HEADER, ICMP.CHECKSUM, 0);
  }

  #report(now: number, flow: PingFlow, errno: number): void {
    const mtu = errno === ERRNO.EMSGSIZE ? this.#outside.pathMtu(flow.handle) : 0;
    if (errno === ERRNO.EMSGSIZE && mtu === 0) return;
    const protocol = flow.guest.family === 4 ? PROTOCOL.ICMP : PROTOCOL.ICMPV6;
    const word = ((flow.identifier << 16) | flow.sequence) >>> 0;
    this.#errors.report(now, errno, protocol, flow.guest, flow.peer, word, mtu);
  }

  #touch(now: number, flow: PingFlow): void {
    flow.used = now;
    this.#timers.set(flow.timer, now + TIMEOUT);
  }

  #forgetIdlest(): boolean {
    let idlest: PingFlow | undefined;
    this.#flows.forEach(flow => {
      if (!idlest || flow.used < idlest.used) idlest = flow;
    });
    if (!idlest) return false;
    this.#forget(idlest);
    return true;
  }

  readonly #forget = (flow: PingFlow): void => {
    this.#timers.cancel(flow.timer);
    this.#flows.remove(flow.entry);
    this.#owners[flow.handle] = undefined;
    this.#outside.close(flow.handle);
  };
}
