/** Packet sockets (packet(7)): whole frames of one interface, in the namespace of the calling thread. Non-blocking. */
import { encodeProgram } from "./bpf.ts";
import { check } from "./errno.ts";
import { SO } from "./inet.ts";
import { errnoNow, libc } from "./libc.ts";
import { addressOf, bytes } from "./mem.ts";
import { packetLibc } from "./packet-libc.ts";
import { AF, bind, SOCK, SOL_SOCKET, socket } from "./socket.ts";

const ETH_P_IP = 0x0800;
/** IPv4, UDP, no later fragment, to port 68: classic BPF (linux/filter.h) over a frame. */
const TO_DHCP_CLIENT = encodeProgram([
  [0x28, 0, 0, 12], // half-word: EtherType
  [0x15, 0, 8, ETH_P_IP],
  [0x30, 0, 0, 23], // byte: protocol
  [0x15, 0, 6, 17],
  [0x28, 0, 0, 20], // half-word: flags and fragment offset
  [0x45, 4, 0, 0x1fff],
  [0xb1, 0, 0, 14], // X = 4 * (the header's length in words)
  [0x48, 0, 0, 16], // half-word at X + 16: destination port
  [0x15, 0, 1, 68],
  [0x06, 0, 0, 0xffff],
  [0x06, 0, 0, 0],
]);

/** Hears IPv4 datagrams that come to port 68 by the interface `index`, and sends frames by it. The caller closes it. */
export function openDhcpSocket(index: number): number {
  // No protocol yet: nothing arrives before the filter is in place.
  const fd = socket(AF.PACKET, SOCK.RAW | SOCK.NONBLOCK);
  try {
    attachFilter(fd);
    bind(fd, linkAddress(index), `interface ${index}`);
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** A `sockaddr_ll` that stands for IPv4 by one interface. */
function linkAddress(index: number): Uint8Array {
  const address = bytes(20);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF.PACKET, true);
  view.setUint16(2, ETH_P_IP, false);
  view.setInt32(4, index, true);
  return address;
}

function attachFilter(fd: number): void {
  const { header } = TO_DHCP_CLIENT;
  check(libc.setsockopt(fd, SOL_SOCKET, SO.ATTACH_FILTER, header, header.length), "setsockopt");
}

/** Sends a frame: 0, or a negative errno. */
export function sendFrame(fd: number, frame: Uint8Array<ArrayBuffer>): number {
  return packetLibc.send(fd, addressOf(frame), frame.length, 0) < 0 ? -errnoNow() : 0;
}
