/** Whether the transport's checksum of a packet is right. */
import { addBytes, isSound, pseudoHeader } from "../wire/checksum.ts";
import { PROTOCOL } from "../wire/ipv4.ts";
import type { Packet } from "./packet.ts";

/** Looks at `length` bytes from `packet.transport` on, with the pseudo-header of all but ICMP; trusts what is vouched for. */
export function isTransportSound(packet: Packet, length: number): boolean {
  if (packet.trusted) return true;
  const { buffer, source, destination, family, protocol, transport } = packet;
  const sum =
    protocol === PROTOCOL.ICMP ? 0 : pseudoHeader(buffer, source, destination, family, protocol, length);
  return isSound(addBytes(sum, buffer, transport, length));
}
