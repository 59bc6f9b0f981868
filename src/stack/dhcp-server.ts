/**
 * Gives the guest its IPv4 configuration (RFC 2131). The first who asks gets the guest's own address, others one of
 * net+15 to net+30, by hardware address; the same machine gets the same address as long as the stack lives.
 */
import { bigIntToIp, contains, formatMac, ipToBigInt, lastOf, networkOf } from "../wire/addr.ts";
import {
  DHCP_OPERATION,
  DHCP_OPTION,
  DHCP_TYPE,
  type DhcpMessage,
  emitDhcp,
  parseDhcp,
} from "../wire/dhcp.ts";
import { emitDomains } from "../wire/domain.ts";
import { PROTOCOL } from "../wire/ipv4.ts";
import { putUdp, UDP } from "../wire/udp.ts";
import type { StackConfig } from "./config.ts";
import type { IpOutput } from "./ip-output.ts";
import type { Packet } from "./packet.ts";

export const DHCP_SERVER_PORT = 67;
const DHCP_CLIENT_PORT = 68;
/** Seconds; nobody else wants the address. */
const LEASE = 86_400;
const POOL = { first: 15n, last: 30n };
/** Bytes of the search list: the rest of the 576 that every client takes is needed (RFC 2131, 2). */
const MOST_SEARCH = 240;
const NONE = new Uint8Array(4);
const BROADCAST = new Uint8Array(4).fill(255);

interface Lease {
  address: Uint8Array;
  /** Text of the hardware address that has it; "" while it is free. */
  holder: string;
  /** Somebody else was seen with it (DECLINE); it goes last. */
  declined: boolean;
}

export class DhcpServer {
  readonly #config: StackConfig;
  readonly #output: IpOutput;
  readonly #leases: Lease[];

  constructor(config: StackConfig, output: IpOutput) {
    this.#config = config;
    this.#output = output;
    this.#leases = addressesOf(config).map(address => ({ address, holder: "", declined: false }));
  }

  /** Handles the datagram of `packet`, whose payload has `length` bytes. */
  input(packet: Packet, length: number): void {
    const start = packet.transport + UDP.HEADER;
    const message = parseDhcp(packet.buffer.subarray(start, start + length));
    // Relays have no place on a wire with one guest.
    if (!message || message.operation !== DHCP_OPERATION.REQUEST || !isNone(message.relay)) return;
    switch (message.options.get(DHCP_OPTION.MESSAGE_TYPE)?.[0]) {
      case DHCP_TYPE.DISCOVER: {
        const lease = this.#leaseFor(message);
        if (lease) this.#answer(message, DHCP_TYPE.OFFER, lease.address);
        return;
      }
      case DHCP_TYPE.REQUEST:
        this.#requested(message);
        return;
      case DHCP_TYPE.INFORM:
        this.#answer(message, DHCP_TYPE.ACK, NONE);
        return;
      case DHCP_TYPE.RELEASE:
        this.#free(message, message.client, false);
        return;
      case DHCP_TYPE.DECLINE:
        this.#free(message, message.options.get(DHCP_OPTION.REQUESTED_ADDRESS) ?? NONE, true);
        return;
    }
  }

  /** RFC 2131, 4.3.2: the client selects, comes back after a boot, or renews. */
  #requested(message: DhcpMessage): void {
    const server = message.options.get(DHCP_OPTION.SERVER_IDENTIFIER);
    if (server && !isSame(server, this.#config.ipv4.gateway.bytes)) return;
    const wanted = message.options.get(DHCP_OPTION.REQUESTED_ADDRESS) ?? message.client;
    const lease = this.#leaseFor(message);
    if (lease && isSame(lease.address, wanted)) this.#answer(message, DHCP_TYPE.ACK, lease.address);
    else this.#refuse(message);
  }

  /** The lease that this client has, or gets: the one it asks for if that is free. */
  #leaseFor(message: DhcpMessage): Lease | undefined {
    const holder = formatMac(message.mac);
    const own = this.#leases.find(lease => lease.holder === holder);
    if (own) return own;
    const wanted = message.options.get(DHCP_OPTION.REQUESTED_ADDRESS) ?? message.client;
    const free = this.#leases.filter(lease => lease.holder === "");
    const lease =
      free.find(one => isSame(one.address, wanted) && !one.declined) ??
      free.find(one => !one.declined) ??
      free[0];
    if (lease) lease.holder = holder;
    return lease;
  }

  #free(message: DhcpMessage, address: Uint8Array, declined: boolean): void {
    const holder = formatMac(message.mac);
    const lease = this.#leases.find(one => one.holder === holder && isSame(one.address, address));
    if (!lease) return;
    lease.holder = "";
    lease.declined = declined;
  }

  #answer(message: DhcpMessage, type: number, your: Uint8Array): void {
    const { ipv4, mtu, dns, searchDomains } = this.#config;
    const options = new Map<number, Uint8Array>();
    options.set(DHCP_OPTION.MESSAGE_TYPE, Uint8Array.of(type));
    options.set(DHCP_OPTION.SERVER_IDENTIFIER, ipv4.gateway.bytes);
    if (!isNone(your)) {
      options.set(DHCP_OPTION.LEASE_TIME, seconds(LEASE));
      options.set(DHCP_OPTION.RENEWAL_TIME, seconds(LEASE / 2));
      options.set(DHCP_OPTION.REBINDING_TIME, seconds((LEASE * 7) / 8));
    }
    // The mask stands before the router (RFC 2132, 3.3).
    options.set(DHCP_OPTION.SUBNET_MASK, seconds(maskOf(ipv4.subnet.prefix)));
    options.set(DHCP_OPTION.ROUTER, ipv4.gateway.bytes);
    options.set(DHCP_OPTION.INTERFACE_MTU, Uint8Array.of(mtu >> 8, mtu & 0xff));
    if (dns) options.set(DHCP_OPTION.DNS, ipv4.dns.bytes);
    const search = emitDomains(searchDomains, MOST_SEARCH);
    if (search.length) options.set(DHCP_OPTION.SEARCH, search);
    this.#send(message, your, options);
  }

  #refuse(message: DhcpMessage): void {
    const options = new Map<number, Uint8Array>();
    options.set(DHCP_OPTION.MESSAGE_TYPE, Uint8Array.of(DHCP_TYPE.NAK));
    options.set(DHCP_OPTION.SERVER_IDENTIFIER, this.#config.ipv4.gateway.bytes);
    this.#send({ ...message, client: NONE, flags: 0x8000 }, NONE, options);
  }

  /** Where answers go: RFC 2131, 4.1. */
  #send(message: DhcpMessage, your: Uint8Array, options: Map<number, Uint8Array>): void {
    const gateway = this.#config.ipv4.gateway.bytes;
    const payload = emitDhcp({
      ...message,
      operation: DHCP_OPERATION.REPLY,
      seconds: 0,
      your,
      server: NONE,
      options,
    });
    const broadcast = isNone(message.client) && ((message.flags & 0x8000) !== 0 || isNone(your));
    const to = isNone(message.client) ? (broadcast ? BROADCAST : your) : message.client;
    const output = this.#output;
    const at = output.begin(4, PROTOCOL.UDP, gateway, 0, to, 0);
    if (!broadcast) output.to(message.mac, 0);
    putUdp(output.view, at, DHCP_SERVER_PORT, DHCP_CLIENT_PORT, payload.length);
    output.frame.payload = payload;
    output.frame.payloadStart = 0;
    output.frame.payloadLength = payload.length;
    output.send(UDP.HEADER, UDP.CHECKSUM, 0);
  }
}

/** The addresses to give away, the guest's own first. */
function addressesOf(config: StackConfig): Uint8Array[] {
  const { subnet, gateway, dns, guest } = config.ipv4;
  const taken = [gateway, dns, guest].map(ipToBigInt);
  const network = ipToBigInt(networkOf(subnet));
  const broadcast = ipToBigInt(lastOf(subnet));
  const addresses = [guest.bytes];
  for (let host = POOL.first; host <= POOL.last; host++) {
    const address = bigIntToIp(network + host, 4);
    if (contains(subnet, address) && network + host !== broadcast && !taken.includes(network + host))
      addresses.push(address.bytes);
  }
  return addresses;
}

function isNone(address: Uint8Array): boolean {
  return address.every(byte => byte === 0);
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

function maskOf(prefix: number): number {
  return prefix === 0 ? 0 : (-1 << (32 - prefix)) >>> 0;
}

function seconds(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}
