/** DHCP messages in whole frames: a machine without an address has no socket that could send them (RFC 2131, 4.1). */
import { addBytes, checksum, pseudoHeader } from "../../wire/checksum.ts";
import { ETHERNET, ETHERTYPE, putEthernet } from "../../wire/ethernet.ts";
import { checkIPv4, IPV4, PROTOCOL, putIPv4, sealIPv4 } from "../../wire/ipv4.ts";
import { checkUdp, putUdp, UDP } from "../../wire/udp.ts";

const SERVER_PORT = 67;
const CLIENT_PORT = 68;
const TTL = 64;

/** One end of a message's way: a hardware address of six bytes, an address of four. */
export interface End {
  mac: Uint8Array;
  ip: Uint8Array;
}

export const EVERYBODY: End = { mac: new Uint8Array(6).fill(255), ip: new Uint8Array(4).fill(255) };
export const NO_ADDRESS = new Uint8Array(4);

/** A frame that takes a client's message to a server. */
export function clientFrame(from: End, to: End, message: Uint8Array): Uint8Array<ArrayBuffer> {
  const ip = ETHERNET.HEADER;
  const udp = ip + IPV4.HEADER;
  const data = udp + UDP.HEADER;
  const frame = new Uint8Array(new ArrayBuffer(data + message.length));
  const view = new DataView(frame.buffer);
  putEthernet(view, 0, to.mac, from.mac, ETHERTYPE.IPV4);
  putIPv4(view, ip, 0, 0, TTL, PROTOCOL.UDP);
  frame.set(from.ip, ip + IPV4.SOURCE);
  frame.set(to.ip, ip + IPV4.DESTINATION);
  sealIPv4(view, frame, ip, frame.length - ip);
  putUdp(view, udp, CLIENT_PORT, SERVER_PORT, message.length);
  frame.set(message, data);
  const length = UDP.HEADER + message.length;
  const sum = pseudoHeader(frame, ip + IPV4.SOURCE, ip + IPV4.DESTINATION, 4, PROTOCOL.UDP, length);
  // No checksum is told by zero (RFC 768), so a sum of zero is sent as its other self.
  view.setUint16(udp + UDP.CHECKSUM, checksum(addBytes(sum, frame, udp, length)) || 0xffff);
  return frame;
}

/**
 * The message that a frame brings a client, and who sent the frame. UDP's checksum is not looked at: a server on this
 * very machine leaves it to a network card that there is none of.
 */
export function messageOf(frame: Uint8Array): { message: Uint8Array; mac: Uint8Array } | undefined {
  if (frame.length < ETHERNET.HEADER) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint16(ETHERNET.TYPE) !== ETHERTYPE.IPV4) return undefined;
  const ip = ETHERNET.HEADER;
  const header = checkIPv4(view, frame, ip, frame.length);
  if (header < 0 || view.getUint8(ip + IPV4.PROTOCOL) !== PROTOCOL.UDP) return undefined;
  if (view.getUint16(ip + IPV4.FRAGMENT) & (IPV4.MORE_FRAGMENTS | IPV4.OFFSET_MASK)) return undefined;
  const udp = ip + header;
  const length = checkUdp(view, udp, ip + view.getUint16(ip + IPV4.TOTAL_LENGTH));
  if (length < 0 || view.getUint16(udp + UDP.DESTINATION) !== CLIENT_PORT) return undefined;
  const data = udp + UDP.HEADER;
  return {
    message: frame.slice(data, data + length),
    mac: frame.slice(ETHERNET.SOURCE, ETHERNET.SOURCE + ETHERNET.MAC),
  };
}
