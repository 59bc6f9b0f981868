/** Who has an address on the guest's wire (RFC 826): asked by the guest, and by us before we speak first. */
import { ARP, ARP_OPERATION, checkArp, putArp } from "../wire/arp.ts";
import { ETHERNET, ETHERTYPE, isGroupMac, putEthernet, putMac } from "../wire/ethernet.ts";
import type { StackConfig } from "./config.ts";
import type { Neighbours } from "./neighbours.ts";
import { OutFrame, type Outside } from "./outside.ts";
import type { Policy } from "./policy.ts";

const BROADCAST = new Uint8Array(6).fill(0xff);
const NOBODY = new Uint8Array(6);

export class Arp {
  readonly #config: StackConfig;
  readonly #outside: Outside;
  readonly #policy: Policy;
  readonly #neighbours: Neighbours;
  readonly #frame = new OutFrame();
  readonly #view = new DataView(this.#frame.header.buffer);

  constructor(config: StackConfig, outside: Outside, policy: Policy, neighbours: Neighbours) {
    this.#config = config;
    this.#outside = outside;
    this.#policy = policy;
    this.#neighbours = neighbours;
    this.#frame.headerLength = ETHERNET.HEADER + ARP.LENGTH;
  }

  /** Handles a packet between `at` and `end`. True when the sender was not known as it says it is. */
  input(buffer: Uint8Array, view: DataView, at: number, end: number): boolean {
    if (!checkArp(view, at, end) || isGroupMac(buffer, at + ARP.SENDER_MAC)) return false;
    const isGuest = this.#policy.isGuest(4, buffer, at + ARP.SENDER_IP);
    const news = isGuest && this.#neighbours.learn(buffer, at + ARP.SENDER_MAC, 4, at + ARP.SENDER_IP);
    const isRequest = view.getUint16(at + ARP.OPERATION) === ARP_OPERATION.REQUEST;
    if (isRequest && this.#isAnswered(buffer, view, at, isGuest)) this.#reply(buffer, at);
    return news;
  }

  /** Asks who has `address`, in the name of the gateway. */
  request(address: Uint8Array, start: number): void {
    const at = this.#begin(BROADCAST, ARP_OPERATION.REQUEST, NOBODY, 0);
    const { header } = this.#frame;
    header.set(this.#config.ipv4.gateway.bytes, at + ARP.SENDER_IP);
    header.set(address.subarray(start, start + 4), at + ARP.TARGET_IP);
    this.#outside.emit(this.#frame);
  }

  /**
   * We answer for every address that no guest has, so that the guest learns at once, and by an ICMP error, where nobody
   * lives. Probes for a free address (RFC 5227) are answered for our own addresses only.
   */
  #isAnswered(buffer: Uint8Array, view: DataView, at: number, isGuest: boolean): boolean {
    const target = at + ARP.TARGET_IP;
    if (this.#policy.isOurs(4, buffer, target)) return true;
    const guest = this.#config.ipv4.guest.bytes;
    return (
      isGuest &&
      view.getUint32(target) !== view.getUint32(at + ARP.SENDER_IP) &&
      !guest.every((byte, index) => byte === buffer[target + index]) &&
      this.#policy.isRoutable(4, buffer, target) &&
      this.#neighbours.find(buffer, 4, target) < 0
    );
  }

  #reply(buffer: Uint8Array, request: number): void {
    const mac = buffer.subarray(request + ARP.SENDER_MAC, request + ARP.SENDER_MAC + 6);
    const at = this.#begin(mac, ARP_OPERATION.REPLY, mac, 0);
    const { header } = this.#frame;
    header.set(buffer.subarray(request + ARP.TARGET_IP, request + ARP.LENGTH), at + ARP.SENDER_IP);
    header.set(buffer.subarray(request + ARP.SENDER_IP, request + ARP.TARGET_MAC), at + ARP.TARGET_IP);
    this.#outside.emit(this.#frame);
  }

  #begin(to: Uint8Array, operation: number, target: Uint8Array, targetStart: number): number {
    const { headerStart } = this.#frame;
    const at = headerStart + ETHERNET.HEADER;
    putEthernet(this.#view, headerStart, to, this.#config.mac, ETHERTYPE.ARP);
    putArp(this.#view, at, operation);
    putMac(this.#view, at + ARP.SENDER_MAC, this.#config.mac, 0);
    putMac(this.#view, at + ARP.TARGET_MAC, target, targetStart);
    return at;
  }
}
