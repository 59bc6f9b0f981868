/** What the stack itself answers over UDP: DHCP, DHCPv6 and, through the host's resolvers, DNS. */
import { PROTOCOL } from "../wire/ipv4.ts";
import { putUdp, UDP } from "../wire/udp.ts";
import type { StackConfig } from "./config.ts";
import { DHCP_SERVER_PORT, DhcpServer } from "./dhcp-server.ts";
import { DHCPV6_SERVER_PORT, Dhcpv6Server } from "./dhcpv6-server.ts";
import type { IpOutput } from "./ip-output.ts";
import type { Outside } from "./outside.ts";
import type { Packet } from "./packet.ts";
import { DNS_PORT, type Policy } from "./policy.ts";

/** Questions that may wait for their answer; the oldest is forgotten for the next. */
const OUTSTANDING = 512;
/** A DNS message's header (RFC 1035, 4.1.1), and the bit of it that makes it an answer. */
const DNS_HEADER = 12;
const ANSWER = 0x80;

/** Who asked. */
interface Question {
  token: number;
  family: 4 | 6;
  address: Uint8Array;
  port: number;
}

export class DatagramServices {
  readonly #config: StackConfig;
  readonly #outside: Outside;
  readonly #output: IpOutput;
  readonly #policy: Policy;
  readonly #dhcp: DhcpServer;
  readonly #dhcpv6: Dhcpv6Server;
  readonly #without: { dhcp: boolean; dhcpv6: boolean };
  readonly #questions: Question[] = [];
  #token = 0;

  constructor(config: StackConfig, outside: Outside, output: IpOutput, policy: Policy) {
    this.#config = config;
    this.#outside = outside;
    this.#output = output;
    this.#policy = policy;
    this.#without = {
      dhcp: config.without?.includes("dhcp") ?? false,
      dhcpv6: config.without?.includes("dhcpv6") ?? false,
    };
    this.#dhcp = new DhcpServer(config, output);
    this.#dhcpv6 = new Dhcpv6Server(config, policy, output);
  }

  /** Takes a sound datagram with `length` bytes of payload; false when it is for somebody else. */
  input(packet: Packet, length: number): boolean {
    const { view, transport, family, buffer, destination } = packet;
    switch (view.getUint16(transport + UDP.DESTINATION)) {
      case DHCP_SERVER_PORT: {
        const isForUs =
          family === 4 &&
          !this.#without.dhcp &&
          (this.#policy.isGateway(4, buffer, destination) ||
            !this.#policy.isRoutable(4, buffer, destination));
        if (isForUs) this.#dhcp.input(packet, length);
        return isForUs;
      }
      case DHCPV6_SERVER_PORT: {
        const isForUs = family === 6 && !this.#without.dhcpv6 && this.#dhcpv6.isFor(packet);
        if (isForUs) this.#dhcpv6.input(packet, length);
        return isForUs;
      }
      case DNS_PORT: {
        const isForUs = this.#config.dns && this.#policy.isDns(family, buffer, destination);
        if (isForUs) this.#ask(packet, length);
        return isForUs;
      }
      default:
        return false;
    }
  }

  /** The answer to the question that `token` was given with. */
  answered(token: number, message: Uint8Array): void {
    const question = this.#questions[token % OUTSTANDING];
    if (question?.token !== token) return;
    question.token = -1;
    const { family, address, port } = question;
    const own = family === 4 ? this.#config.ipv4 : this.#config.ipv6;
    if (!own) return;
    const output = this.#output;
    const at = output.begin(family, PROTOCOL.UDP, own.dns.bytes, 0, address, 0);
    putUdp(output.view, at, DNS_PORT, port, message.length);
    const { frame } = output;
    frame.payload = message as Uint8Array<ArrayBuffer>;
    frame.payloadStart = 0;
    frame.payloadLength = message.length;
    output.send(UDP.HEADER, UDP.CHECKSUM, 0);
  }

  #ask(packet: Packet, length: number): void {
    const { buffer, view, transport, family, source } = packet;
    const start = transport + UDP.HEADER;
    if (length < DNS_HEADER || buffer[start + 2]! & ANSWER) return;
    const token = this.#token++;
    this.#questions[token % OUTSTANDING] = {
      token,
      family,
      address: buffer.slice(source, source + (family === 4 ? 4 : 16)),
      port: view.getUint16(transport + UDP.SOURCE),
    };
    this.#outside.dnsQuery(token, buffer.subarray(start, start + length));
  }
}
