/**
 * A user-mode network: TCP/IP for one wire with a guest at its other end. Frames, socket events and a clock come in by
 * the methods of `Stack`, frames and socket requests go out through `Outside`. It has no I/O, no clock, no dice and no
 * exceptions of its own; see README.md.
 *
 * `now` is milliseconds of a monotonic clock; fractions are welcome.
 */
import { ETHERNET, ETHERTYPE, isGroupMac } from "../wire/ethernet.ts";
import { Arp } from "./arp.ts";
import type { Service, StackConfig } from "./config.ts";
import { DatagramServices } from "./datagram-services.ts";
import type { Endpoint } from "./endpoint.ts";
import { IcmpLayer } from "./icmp.ts";
import { IcmpErrors } from "./icmp-errors.ts";
import { IpInput } from "./ip-input.ts";
import { IpOutput, type Parking } from "./ip-output.ts";
import { NeighbourDiscovery } from "./neighbour-discovery.ts";
import { Neighbours } from "./neighbours.ts";
import type { Handle, Outside } from "./outside.ts";
import { PingLayer } from "./ping.ts";
import { Policy } from "./policy.ts";
import { Reassembly } from "./reassembly.ts";
import { Resolver } from "./resolver.ts";
import { TcpLayer } from "./tcp/layer.ts";
import { Timers } from "./timers.ts";
import { UdpLayer } from "./udp.ts";

export class Stack {
  readonly #config: StackConfig;
  readonly #policy: Policy;
  readonly #timers = new Timers();
  readonly #arp: Arp;
  readonly #resolver: Resolver;
  readonly #input: IpInput;
  readonly #reassembly: Reassembly;
  readonly #services: DatagramServices;
  readonly #udp: UdpLayer;
  readonly #ping: PingLayer;
  readonly #tcp: TcpLayer;

  constructor(config: StackConfig, outside: Outside) {
    const timers = this.#timers;
    const neighbours = new Neighbours();
    const policy = new Policy(config);
    const discovery = new NeighbourDiscovery(config, outside, policy, neighbours, timers);
    this.#config = config;
    this.#policy = policy;
    this.#arp = new Arp(config, outside, policy, neighbours);
    this.#resolver = new Resolver(outside, neighbours, this.#arp, discovery, timers);
    const output = new IpOutput(config, outside, neighbours, this.#resolver satisfies Parking);
    const errors = new IcmpErrors(config, output, policy);
    this.#reassembly = new Reassembly(config.limits.reassembly, timers, errors);
    this.#services = new DatagramServices(config, outside, output, policy);
    this.#udp = new UdpLayer(config, outside, output, policy, errors, timers, this.#services);
    this.#ping = new PingLayer(config, outside, output, policy, errors, timers);
    this.#tcp = new TcpLayer(config, outside, output, policy, timers, errors, () => this.#udp.forgetIdlest());
    const without = (service: Service) => config.without?.includes(service) ?? false;
    const icmp = new IcmpLayer(output, policy, this.#ping, discovery, this.#tcp, this.#udp, without("icmp"));
    const up = {
      tcp: without("tcp") ? undefined : this.#tcp,
      udp: without("udp") ? undefined : this.#udp,
      icmp,
    };
    this.#input = new IpInput(policy, neighbours, errors, this.#reassembly, up, () => this.#resolver.heard());
  }

  /**
   * A frame from the guest: the bytes of `buffer` from `start` to `end`; `view` is over the same ArrayBuffer. Nothing of
   * it is kept. `trusted`: the guest's kernel vouches for the transport's checksum, which may be partial (virtio).
   * `segmentSize`: bytes of payload to a datagram, if the frame brings several of UDP (virtio's `gso_size`), else 0.
   */
  input(
    now: number,
    buffer: Uint8Array<ArrayBuffer>,
    view: DataView<ArrayBuffer>,
    start: number,
    end: number,
    trusted: boolean,
    segmentSize = 0,
  ): void {
    if (start + ETHERNET.HEADER > end || isGroupMac(buffer, start + ETHERNET.SOURCE)) return;
    if (!isGroupMac(buffer, start) && !this.#isOurs(buffer, start)) return;
    switch (view.getUint16(start + ETHERNET.TYPE)) {
      case ETHERTYPE.IPV4:
        this.#input.input4(now, buffer, view, start, end, trusted, segmentSize);
        return;
      case ETHERTYPE.IPV6:
        if (this.#config.ipv6) this.#input.input6(now, buffer, view, start, end, trusted, segmentSize);
        return;
      case ETHERTYPE.ARP:
        if (this.#arp.input(buffer, view, start + ETHERNET.HEADER, end)) this.#resolver.heard();
    }
  }

  /** Something happened to a socket that the stack opened; `events`: bits of READY. Late ones do no harm. */
  socketReady(now: number, handle: Handle, events: number): void {
    if (this.#udp.ready(now, handle, events) || this.#ping.ready(now, handle, events)) return;
    this.#tcp.socketReady(now, handle, events);
  }

  /** Who a caller of a published port is to the guest (`Policy.clientAddress`). */
  clientAddress(from: Endpoint, to: Endpoint): Uint8Array {
    return this.#policy.clientAddress(from, to);
  }

  /**
   * `handle` was accepted from `from` on a published port: the stack connects it to the guest endpoint `to`, and where the
   * guest refuses that, to `otherwise`.
   */
  tcpAccepted(now: number, handle: Handle, from: Endpoint, to: Endpoint, otherwise?: Endpoint): void {
    const callAs = (end: Endpoint) => ({
      from: { family: end.family, address: this.clientAddress(from, end), port: from.port },
      to: end,
    });
    this.#tcp.accepted(now, handle, callAs(to), otherwise && callAs(otherwise));
  }

  /** A published UDP socket got a datagram from `from` for the guest endpoint `to`; answers go by `Outside.sendTo`. */
  datagramArrived(
    now: number,
    handle: Handle,
    from: Endpoint,
    to: Endpoint,
    buffer: Uint8Array<ArrayBuffer>,
    start: number,
    length: number,
  ): void {
    this.#udp.arrived(now, handle, from, to, buffer, start, length);
  }

  /** A published UDP socket is closed: its clients are forgotten. */
  datagramsClosed(_now: number, handle: Handle): void {
    this.#udp.closed(handle);
  }

  /** The answer to `Outside.dnsQuery`. Late and second answers do no harm. */
  dnsAnswered(_now: number, token: number, message: Uint8Array): void {
    this.#services.answered(token, message);
  }

  /** What the stack holds now: flows of each kind, bytes promised to TCP's flows, bytes of packets that are not whole. */
  get usage(): { tcp: number; udp: number; ping: number; promised: number; reassembly: number } {
    return {
      tcp: this.#tcp.flows,
      udp: this.#udp.size,
      ping: this.#ping.size,
      promised: this.#tcp.promised,
      reassembly: this.#reassembly.held,
    };
  }

  /** Connections that were refused since the stack began, because there were too many or too little memory. */
  get refused(): number {
    return this.#tcp.refused;
  }

  /** Does what was put off to the end of a batch of frames and events: acknowledgements, windows, data. */
  flush(now: number): void {
    this.#tcp.flush(now);
    this.#resolver.flush(now);
  }

  /** When `tick` wants to be called; Infinity for never. */
  nextTimeout(): number {
    return this.#timers.next();
  }

  tick(now: number): void {
    this.#timers.run(now);
  }

  /** Resets the guest's connections and closes every socket. */
  close(now: number): void {
    this.#tcp.close(now);
    this.#udp.close();
    this.#ping.close();
  }

  #isOurs(buffer: Uint8Array, start: number): boolean {
    const { mac } = this.#config;
    for (let index = 0; index < ETHERNET.MAC; index++) if (buffer[start + index] !== mac[index]) return false;
    return true;
  }
}
