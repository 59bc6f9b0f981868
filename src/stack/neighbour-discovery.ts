/**
 * IPv6's Neighbour Discovery (RFC 4861) as the guest's router: advertises prefix, MTU and resolvers (RFC 4862, 8106),
 * answers for addresses and asks for those of guests.
 */
import { emitDomains } from "../wire/domain.ts";
import { ETHERNET, isGroupMac } from "../wire/ethernet.ts";
import { ICMP, putIcmp } from "../wire/icmp.ts";
import { ICMPV6_TYPE } from "../wire/icmpv6.ts";
import { PROTOCOL } from "../wire/ipv4.ts";
import { emitRouterAdvertisement, findOption, ND, ND_OPTION } from "../wire/nd.ts";
import type { StackConfig } from "./config.ts";
import { IpOutput } from "./ip-output.ts";
import type { Neighbours } from "./neighbours.ts";
import type { Outside } from "./outside.ts";
import type { Packet } from "./packet.ts";
import type { Policy } from "./policy.ts";
import { Timer, type Timers } from "./timers.ts";

/** Between the floor and the ceiling of RFC 4861's defaults (6.2.1), 198 and 600 seconds. */
const ADVERTISED_EVERY = 300_000;
/** Seconds; a router lives three times as long as it is silent, addresses a day. */
const ROUTER_LIFETIME = 1800;
const VALID = 86_400;
const PREFERRED = 14_400;
/** Bytes of the search list: an advertisement is not fragmented (RFC 6980). */
const MOST_SEARCH = 1000;
const ALL_NODES = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
const SOLICITED_NODE = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0);

export class NeighbourDiscovery {
  readonly #config: StackConfig;
  readonly #policy: Policy;
  readonly #neighbours: Neighbours;
  /** Its own, as it speaks while another packet is under way. */
  readonly #output: IpOutput;
  readonly #advertisement: Uint8Array<ArrayBuffer>;
  readonly #without: { ra: boolean; ndp: boolean };
  readonly #timers: Timers;
  readonly #timer = new Timer(now => this.#advertise(now));

  constructor(config: StackConfig, outside: Outside, policy: Policy, neighbours: Neighbours, timers: Timers) {
    this.#config = config;
    this.#policy = policy;
    this.#neighbours = neighbours;
    this.#timers = timers;
    this.#output = new IpOutput(config, outside, neighbours, { park: () => undefined });
    this.#advertisement = this.#makeAdvertisement();
    // The guest is told as soon as the clock is known.
    this.#without = {
      ra: config.without?.includes("ra") ?? false,
      ndp: config.without?.includes("ndp") ?? false,
    };
    if (config.ipv6 && !this.#without.ra) timers.set(this.#timer, 0);
  }

  /** Handles ND's messages; true when it was one. Its checksum has been looked at. */
  input(packet: Packet): boolean {
    const { view, transport, end, hops } = packet;
    const type = view.getUint8(transport);
    if (type < ICMPV6_TYPE.ROUTER_SOLICITATION || type > 137) return false;
    if (hops !== ND.HOPS || view.getUint8(transport + ICMP.CODE) !== 0) return true;
    if (type === ICMPV6_TYPE.ROUTER_SOLICITATION) {
      if (!this.#without.ra) this.#solicitedRouter(packet);
    } else if (this.#without.ndp || transport + ND.NEIGHBOUR_HEADER > end) return true;
    else if (type === ICMPV6_TYPE.NEIGHBOUR_SOLICITATION) this.#solicited(packet);
    else if (type === ICMPV6_TYPE.NEIGHBOUR_ADVERTISEMENT) this.#advertised(packet);
    return true;
  }

  /** Asks who has `address`. */
  solicit(address: Uint8Array, start: number): void {
    const output = this.#output;
    const group = SOLICITED_NODE.slice();
    group.set(address.subarray(start + 13, start + 16), 13);
    const at = output.begin(6, PROTOCOL.ICMPV6, this.#policy.linkLocal, 0, group, 0);
    output.hops(ND.HOPS);
    putIcmp(output.view, at, ICMPV6_TYPE.NEIGHBOUR_SOLICITATION, 0, 0);
    const { header } = output.frame;
    header.set(address.subarray(start, start + 16), at + ND.TARGET);
    this.#putMac(at + ND.NEIGHBOUR_HEADER, ND_OPTION.SOURCE_MAC);
    output.send(ND.NEIGHBOUR_HEADER + 8, ICMP.CHECKSUM, 0);
  }

  #solicitedRouter(packet: Packet): void {
    const { buffer, transport, source, end } = packet;
    if (findOption(buffer, transport + ND.SOLICITATION_HEADER, end, ND_OPTION.SOURCE_MAC) < 0) return;
    const isGuest = this.#policy.isGuest(6, buffer, source);
    this.#sendAdvertisement(isGuest ? buffer : ALL_NODES, isGuest ? source : 0);
  }

  #solicited(packet: Packet): void {
    const { buffer, transport, source, end } = packet;
    const target = transport + ND.TARGET;
    const option = findOption(buffer, transport + ND.NEIGHBOUR_HEADER, end, ND_OPTION.SOURCE_MAC);
    if (option < 0 || buffer[target] === 0xff) return;
    const isGuest = this.#policy.isGuest(6, buffer, source);
    // One that looks whether its address is free (RFC 4862, 5.4) hears of our own addresses only.
    const answered =
      this.#policy.isOurs(6, buffer, target) ||
      (isGuest && this.#policy.isOnLink(6, buffer, target) && this.#neighbours.find(buffer, 6, target) < 0);
    if (!answered) return;
    const output = this.#output;
    const at = output.begin(
      6,
      PROTOCOL.ICMPV6,
      buffer,
      target,
      isGuest ? buffer : ALL_NODES,
      isGuest ? source : 0,
    );
    output.hops(ND.HOPS);
    const router = this.#policy.isGateway(6, buffer, target) ? ND.ROUTER : 0;
    const flags = router | (isGuest ? ND.SOLICITED : 0) | ND.OVERRIDE;
    putIcmp(output.view, at, ICMPV6_TYPE.NEIGHBOUR_ADVERTISEMENT, 0, (flags << 24) >>> 0);
    output.frame.header.set(buffer.subarray(target, target + 16), at + ND.TARGET);
    this.#putMac(at + ND.NEIGHBOUR_HEADER, ND_OPTION.TARGET_MAC);
    output.send(ND.NEIGHBOUR_HEADER + 8, ICMP.CHECKSUM, 0);
  }

  #advertised(packet: Packet): void {
    const { buffer, transport, end } = packet;
    const target = transport + ND.TARGET;
    const option = findOption(buffer, transport + ND.NEIGHBOUR_HEADER, end, ND_OPTION.TARGET_MAC);
    const usable = option > 0 && !isGroupMac(buffer, option) && this.#policy.isGuest(6, buffer, target);
    if (usable) this.#neighbours.learn(buffer, option, 6, target);
  }

  #advertise(now: number): void {
    this.#sendAdvertisement(ALL_NODES, 0);
    this.#timers.set(this.#timer, now + ADVERTISED_EVERY);
  }

  #sendAdvertisement(to: Uint8Array, start: number): void {
    const output = this.#output;
    const message = this.#advertisement;
    const at = output.begin(6, PROTOCOL.ICMPV6, this.#policy.linkLocal, 0, to, start);
    output.hops(ND.HOPS);
    output.frame.header.set(message.subarray(0, ICMP.HEADER), at);
    output.frame.payload = message;
    output.frame.payloadStart = ICMP.HEADER;
    output.frame.payloadLength = message.length - ICMP.HEADER;
    output.send(ICMP.HEADER, ICMP.CHECKSUM, 0);
  }

  #makeAdvertisement(): Uint8Array<ArrayBuffer> {
    const { ipv6, mac, mtu, dns, searchDomains } = this.#config;
    if (!ipv6) return new Uint8Array(new ArrayBuffer(ICMP.HEADER));
    return emitRouterAdvertisement({
      hopLimit: 64,
      otherConfig: dns,
      lifetime: ROUTER_LIFETIME,
      mac,
      mtu,
      prefix: {
        bytes: ipv6.prefix.ip.bytes,
        length: ipv6.prefix.prefix,
        // Interface identifiers have 64 bits (RFC 4291, 2.5.1).
        autonomous: ipv6.prefix.prefix === 64,
        valid: VALID,
        preferred: PREFERRED,
      },
      dns: dns ? [ipv6.dns.bytes] : [],
      search: emitDomains(searchDomains, MOST_SEARCH),
      dnsLifetime: ROUTER_LIFETIME,
    });
  }

  #putMac(at: number, type: number): void {
    const { header } = this.#output.frame;
    header[at] = type;
    header[at + 1] = (2 + ETHERNET.MAC) / 8;
    header.set(this.#config.mac, at + 2);
  }
}
