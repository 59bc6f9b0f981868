/**
 * UDP between the guest and sockets of the host (RFC 768, RFC 4787).
 *
 * A connected socket to each pair of guest endpoint and destination, so that the host's kernel tells the errors of each;
 * all sockets of one guest endpoint share a local port. Clients of published ports have flows without sockets. The
 * idlest flow gives way when there are too many.
 */
import { IPV4, PROTOCOL } from "../wire/ipv4.ts";
import { IPV6 } from "../wire/ipv6.ts";
import { checkUdp, putUdp, UDP } from "../wire/udp.ts";
import type { StackConfig } from "./config.ts";
import type { DatagramServices } from "./datagram-services.ts";
import { DatagramTrain, MAX_DATAGRAM } from "./datagram-train.ts";
import type { Endpoint } from "./endpoint.ts";
import { ERRNO, isExhaustion } from "./errno.ts";
import { FlowTable } from "./flow-table.ts";
import type { IcmpErrors } from "./icmp-errors.ts";
import type { IpOutput } from "./ip-output.ts";
import { type Destination, type Handle, type Outside, READY } from "./outside.ts";
import type { Packet } from "./packet.ts";
import type { Policy } from "./policy.ts";
import { isTransportSound } from "./sound.ts";
import type { Timers } from "./timers.ts";
import { TURN, Turns } from "./turns.ts";
import { UdpFlow } from "./udp-flow.ts";

/** Ports that are tried for a client of a published port whose own is taken. */
const PORTS_TRIED = 64;

export class UdpLayer {
  readonly #config: StackConfig;
  readonly #outside: Outside;
  readonly #output: IpOutput;
  readonly #policy: Policy;
  readonly #errors: IcmpErrors;
  readonly #timers: Timers;
  readonly #services: DatagramServices;
  /** Source of a key: the guest; destination: the peer. */
  readonly #flows: FlowTable<UdpFlow>;
  /** By handle, those with a socket of their own. */
  readonly #owners: (UdpFlow | undefined)[] = [];
  readonly #train = new DatagramTrain();
  readonly #turns: Turns<UdpFlow>;
  readonly #expire = (flow: UdpFlow): void => this.#forget(flow);

  constructor(
    config: StackConfig,
    outside: Outside,
    output: IpOutput,
    policy: Policy,
    errors: IcmpErrors,
    timers: Timers,
    services: DatagramServices,
  ) {
    this.#config = config;
    this.#outside = outside;
    this.#output = output;
    this.#policy = policy;
    this.#errors = errors;
    this.#timers = timers;
    this.#services = services;
    this.#flows = new FlowTable(config.secret);
    this.#turns = new Turns(timers, (now, flow) => {
      if (this.#owners[flow.handle] === flow) this.#receive(now, flow);
    });
  }

  get size(): number {
    return this.#flows.size;
  }

  /** A datagram from the guest. */
  input(now: number, packet: Packet): void {
    const { buffer, view, family, source, destination, transport, end } = packet;
    const length = checkUdp(view, transport, end);
    if (length < 0) return;
    if (view.getUint16(transport + UDP.CHECKSUM) === 0) {
      // No checksum at all: IPv4's leave, and nobody else's (RFC 8200, 8.1).
      if (family === 6 && !packet.trusted) return;
    } else if (!isTransportSound(packet, UDP.HEADER + length)) return;
    const several = packet.segmentSize > 0 && length > packet.segmentSize;
    if (!several && this.#services.input(packet, length)) return;
    const from = view.getUint16(transport + UDP.SOURCE);
    const to = view.getUint16(transport + UDP.DESTINATION);
    const flow =
      this.#flows.find(family, buffer, source, buffer, destination, from, to) ??
      this.#open(now, packet, from, to);
    if (!flow) return;
    const start = transport + UDP.HEADER;
    if (!several) this.#send(now, flow, packet, start, length);
    else
      for (let at = 0; at < length; at += packet.segmentSize)
        this.#send(now, flow, packet, start + at, Math.min(packet.segmentSize, length - at));
  }

  /** A datagram from a client to a published port, for the guest endpoint `to`. */
  arrived(
    now: number,
    handle: Handle,
    from: Endpoint,
    to: Endpoint,
    buffer: Uint8Array<ArrayBuffer>,
    start: number,
    length: number,
  ): void {
    const flow = this.#flowOfClient(now, handle, from, to);
    if (flow) this.#toGuest(now, flow, buffer, start, length, 0);
  }

  /** The published socket is no more. */
  closed(handle: Handle): void {
    this.#flows.forEach(flow => {
      if (flow.client && flow.handle === handle) this.#forget(flow);
    });
  }

  /** True when the handle is ours. */
  ready(now: number, handle: Handle, events: number): boolean {
    const flow = this.#owners[handle];
    if (!flow) return false;
    if (events & READY.ERROR) this.#tellErrors(now, flow);
    if (events & READY.READABLE) this.#receive(now, flow);
    return true;
  }

  /** The guest does not take what this flow brings (any more): with our socket gone, the peer sees that too. */
  guestError(
    _now: number,
    family: 4 | 6,
    quote: Uint8Array,
    source: number,
    destination: number,
    transport: number,
    mtu: number,
  ): void {
    if (mtu !== 0) return;
    const from = (quote[transport]! << 8) | quote[transport + 1]!;
    const to = (quote[transport + 2]! << 8) | quote[transport + 3]!;
    const flow = this.#flows.find(family, quote, destination, quote, source, to, from);
    if (flow) this.#forget(flow);
  }

  /** Closes the flow that has been silent for longest; false when there is none. */
  forgetIdlest(): boolean {
    let idlest: UdpFlow | undefined;
    this.#flows.forEach(flow => {
      if (!idlest || flow.used < idlest.used) idlest = flow;
    });
    if (!idlest) return false;
    this.#forget(idlest);
    return true;
  }

  close(): void {
    this.#flows.forEach(this.#expire);
  }

  #open(now: number, packet: Packet, from: number, to: number): UdpFlow | undefined {
    const { family, buffer, source, destination } = packet;
    const route = this.#policy.route(family, buffer, destination, to);
    if (typeof route === "number" || route.kind === "dns") {
      if (typeof route === "number") this.#errors.answer(now, packet, route);
      return undefined;
    }
    const guest = endpoint(family, buffer, source, from);
    const peer = endpoint(family, buffer, destination, to);
    this.#makeRoom();
    const handle = this.#openSocket(route, guest);
    if (handle < 0) {
      this.#errors.answer(now, packet, -handle);
      return undefined;
    }
    const flow = this.#add(now, new UdpFlow(guest, peer, handle, undefined, this.#expire));
    this.#owners[handle] = flow;
    return flow;
  }

  #openSocket(route: Destination, guest: Endpoint): Handle {
    const key = `${guest.address.join(".")}:${guest.port}`;
    const handle = this.#outside.openUdp(route, key);
    return isExhaustion(-handle) && this.forgetIdlest() ? this.#outside.openUdp(route, key) : handle;
  }

  /** The flow of a client; its port is another where the guest would take it for someone else. */
  #flowOfClient(now: number, handle: Handle, from: Endpoint, to: Endpoint): UdpFlow | undefined {
    const address = this.#policy.clientAddress(from, to);
    for (let tried = 0; tried < PORTS_TRIED; tried++) {
      const port = ((from.port + tried - 1) % 65_535) + 1;
      const flow = this.#flows.find(to.family, to.address, 0, address, 0, to.port, port);
      if (flow?.client) {
        if (flow.handle === handle && isEndpoint(flow.client, from)) return flow;
        continue;
      }
      // The guest's own talk with this very client goes on through the published port.
      if (flow) this.#forget(flow);
      this.#makeRoom();
      const client: Destination = {
        kind: "internet",
        family: from.family,
        address: from.address.slice(),
        port: from.port,
      };
      const guest = { family: to.family, address: to.address.slice(), port: to.port };
      const peer = { family: to.family, address: address.slice(), port };
      return this.#add(now, new UdpFlow(guest, peer, handle, client, this.#expire));
    }
    return undefined;
  }

  #add(now: number, flow: UdpFlow): UdpFlow {
    const { guest, peer } = flow;
    flow.entry = this.#flows.add(
      guest.family,
      guest.address,
      0,
      peer.address,
      0,
      guest.port,
      peer.port,
      flow,
    );
    this.#touch(now, flow);
    return flow;
  }

  #touch(now: number, flow: UdpFlow): void {
    flow.used = now;
    this.#timers.set(flow.timer, now + flow.timeout);
  }

  /** Sends `length` bytes from `start` on, of `packet`. */
  #send(now: number, flow: UdpFlow, packet: Packet, start: number, length: number): void {
    this.#touch(now, flow);
    const { buffer } = packet;
    let sent = this.#sendOnce(flow, buffer, start, length);
    if (sent < 0 && !flow.client && sent !== -ERRNO.EAGAIN && sent !== -ERRNO.EMSGSIZE) {
      // What an earlier datagram met is told by the next, which stays behind: told on, and tried once more.
      this.#errors.answer(now, packet, -sent);
      sent = this.#sendOnce(flow, buffer, start, length);
    }
    if (sent === -ERRNO.EMSGSIZE) this.#tellMtu(now, flow, packet);
  }

  #sendOnce(flow: UdpFlow, buffer: Uint8Array<ArrayBuffer>, start: number, length: number): number {
    if (flow.client) return this.#outside.sendTo(flow.handle, flow.client, buffer, start, length);
    return this.#outside.send(flow.handle, buffer, start, length);
  }

  #tellMtu(now: number, flow: UdpFlow, packet: Packet): void {
    const mtu = flow.client ? 0 : this.#outside.pathMtu(flow.handle);
    if (mtu > 0) this.#errors.answer(now, packet, ERRNO.EMSGSIZE, mtu);
  }

  #receive(now: number, flow: UdpFlow): void {
    const { handle } = flow;
    const train = this.#train;
    const most = this.#mostCoupled(flow);
    let failures = 0;
    for (let count = 0; count < TURN; count++) {
      const at = train.end;
      const length = this.#outside.receive(handle, train.buffer, at, MAX_DATAGRAM);
      if (length < 0) {
        this.#sendTrain(now, flow);
        if (length === -ERRNO.EAGAIN) return;
        this.#report(now, flow, -length);
        failures++;
      } else if (!train.couple(length, most)) {
        this.#sendTrain(now, flow);
        train.restart(at, length, most);
      }
    }
    this.#sendTrain(now, flow);
    // A socket that does nothing but fail is not worth another turn.
    if (failures === TURN) this.#forget(flow);
    else this.#turns.wait(now, flow);
  }

  /** Bytes of the longest datagram that may be one of several in a frame. */
  #mostCoupled(flow: UdpFlow): number {
    const { udpSegments, offload, mtu } = this.#config;
    if (!udpSegments || !offload) return 0;
    return mtu - UDP.HEADER - (flow.guest.family === 4 ? IPV4.HEADER : IPV6.HEADER);
  }

  #sendTrain(now: number, flow: UdpFlow): void {
    const train = this.#train;
    if (train.count > 0)
      this.#toGuest(now, flow, train.buffer, 0, train.end, train.count > 1 ? train.size : 0);
    train.clear();
  }

  #toGuest(
    now: number,
    flow: UdpFlow,
    buffer: Uint8Array<ArrayBuffer>,
    start: number,
    length: number,
    segmentSize: number,
  ): void {
    this.#touch(now, flow);
    const output = this.#output;
    const { guest, peer } = flow;
    const at = output.begin(guest.family, PROTOCOL.UDP, peer.address, 0, guest.address, 0);
    putUdp(output.view, at, peer.port, guest.port, length);
    const { frame } = output;
    frame.payload = buffer;
    frame.payloadStart = start;
    frame.payloadLength = length;
    output.send(UDP.HEADER, UDP.CHECKSUM, segmentSize);
  }

  #tellErrors(now: number, flow: UdpFlow): void {
    for (let count = 0; count < TURN; count++) {
      const errno = this.#outside.takeError(flow.handle);
      if (errno === 0) return;
      this.#report(now, flow, errno);
    }
  }

  #report(now: number, flow: UdpFlow, errno: number): void {
    const mtu = errno === ERRNO.EMSGSIZE ? this.#outside.pathMtu(flow.handle) : 0;
    if (errno === ERRNO.EMSGSIZE && mtu === 0) return;
    this.#errors.report(now, errno, PROTOCOL.UDP, flow.guest, flow.peer, UDP.HEADER << 16, mtu);
  }

  #makeRoom(): void {
    while (this.#flows.size >= this.#config.limits.udpFlows && this.forgetIdlest());
  }

  #forget(flow: UdpFlow): void {
    this.#timers.cancel(flow.timer);
    this.#flows.remove(flow.entry);
    if (flow.client) return;
    this.#owners[flow.handle] = undefined;
    this.#outside.close(flow.handle);
  }
}

function endpoint(family: 4 | 6, buffer: Uint8Array, start: number, port: number): Endpoint {
  return { family, address: buffer.slice(start, start + (family === 4 ? 4 : 16)), port };
}

function isEndpoint(one: Endpoint, other: Endpoint): boolean {
  if (one.port !== other.port || one.family !== other.family) return false;
  for (let index = 0; index < one.address.length; index++)
    if (one.address[index] !== other.address[index]) return false;
  return true;
}
