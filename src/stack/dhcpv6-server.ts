/** Tells the guest its resolvers by stateless DHCPv6 (RFC 8415, 6.1); addresses it makes itself (RFC 4862). */
import {
  DHCPV6_OPTION,
  DHCPV6_TYPE,
  type Dhcpv6Message,
  duidOf,
  emitDhcpv6,
  parseDhcpv6,
} from "../wire/dhcpv6.ts";
import { emitDomains } from "../wire/domain.ts";
import { PROTOCOL } from "../wire/ipv4.ts";
import { putUdp, UDP } from "../wire/udp.ts";
import type { StackConfig } from "./config.ts";
import type { IpOutput } from "./ip-output.ts";
import type { Packet } from "./packet.ts";
import type { Policy } from "./policy.ts";

export const DHCPV6_SERVER_PORT = 547;
const DHCPV6_CLIENT_PORT = 546;
/** Seconds until the guest asks again (option 32): the default. */
const REFRESH = Uint8Array.of(0, 1, 0x51, 0x80);
/** All_DHCP_Relay_Agents_and_Servers. */
const SERVERS = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2);

/** Bytes of the search list, so that an answer fits in the least of frames. */
const MOST_SEARCH = 1000;
/** Longer messages are no client's. */
const MOST = 1500;

export class Dhcpv6Server {
  readonly #config: StackConfig;
  readonly #policy: Policy;
  readonly #output: IpOutput;

  constructor(config: StackConfig, policy: Policy, output: IpOutput) {
    this.#config = config;
    this.#policy = policy;
    this.#output = output;
  }

  /** True for the address that clients speak to. */
  isFor(packet: Packet): boolean {
    return SERVERS.every((byte, index) => byte === packet.buffer[packet.destination + index]);
  }

  /** Handles the datagram of `packet`, whose payload has `length` bytes. */
  input(packet: Packet, length: number): void {
    const start = packet.transport + UDP.HEADER;
    const { ipv6, mac, dns, searchDomains } = this.#config;
    const message = length > MOST ? undefined : parseDhcpv6(packet.buffer.subarray(start, start + length));
    if (!ipv6 || message?.type !== DHCPV6_TYPE.INFORMATION_REQUEST) return;
    const duid = duidOf(mac);
    const option = (code: number) => message.options.find(one => one.code === code)?.value;
    const server = option(DHCPV6_OPTION.SERVER_IDENTIFIER);
    if (server && !server.every((byte, index) => byte === duid[index])) return;
    const client = option(DHCPV6_OPTION.CLIENT_IDENTIFIER);
    const search = emitDomains(searchDomains, MOST_SEARCH);
    const options: Dhcpv6Message["options"] = [{ code: DHCPV6_OPTION.SERVER_IDENTIFIER, value: duid }];
    if (client) options.push({ code: DHCPV6_OPTION.CLIENT_IDENTIFIER, value: client });
    if (dns) options.push({ code: DHCPV6_OPTION.DNS, value: ipv6.dns.bytes });
    if (search.length) options.push({ code: DHCPV6_OPTION.SEARCH, value: search });
    options.push({ code: DHCPV6_OPTION.INFORMATION_REFRESH_TIME, value: REFRESH });
    const payload = emitDhcpv6({ type: DHCPV6_TYPE.REPLY, transaction: message.transaction, options });
    const output = this.#output;
    const at = output.begin(6, PROTOCOL.UDP, this.#policy.linkLocal, 0, packet.buffer, packet.source);
    putUdp(output.view, at, DHCPV6_SERVER_PORT, DHCPV6_CLIENT_PORT, payload.length);
    output.frame.payload = payload;
    output.frame.payloadStart = 0;
    output.frame.payloadLength = payload.length;
    output.send(UDP.HEADER, UDP.CHECKSUM, 0);
  }
}
