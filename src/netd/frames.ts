/**
 * Frames between a tap and the stack, with the `virtio_net_hdr` that stands before each (virtio 1.2, 5.1.6; the fields
 * are little-endian on a little-endian machine):
 *
 *     0 flags   1 gso_type   2 hdr_len   4 gso_size   6 csum_start   8 csum_offset
 */
import type { OutFrame } from "../stack/outside.ts";
import { readFrame, writeFrame, writeFrameParts } from "../sys/frame.ts";
import { bytes } from "../sys/mem.ts";
import type { TapDevice } from "../sys/tun.ts";

const FLAG = { NEEDS_CSUM: 1, DATA_VALID: 2 } as const;
const GSO = { TCPV4: 1, TCPV6: 4, UDP_L4: 5 } as const;
/** Where UDP's checksum lies in its header. */
const UDP_CHECKSUM = 6;

/** A super-frame: 64 KB of IP packet, its Ethernet header with a VLAN tag, the device's header; and some room. */
const LARGEST_FRAME = 65_536 + 512;

/** One for all taps of the process: a frame is done with before the next is read. */
const incoming = bytes(LARGEST_FRAME);
const incomingView = new DataView(incoming.buffer);

export class Frames {
  /** The frame that `read` read. Used again by the next, of whatever tap. */
  readonly buffer: Uint8Array<ArrayBuffer> = incoming;
  readonly view = incomingView;
  /** Where the Ethernet header begins. */
  readonly start: number;
  /** The guest's kernel vouches for the checksum of the frame that was read. */
  trusted = false;
  /** Bytes of payload to a datagram, where that frame brings several of UDP; else 0. */
  segmentSize = 0;
  /** Frames that the device did not take. */
  dropped = 0;
  private readonly fd: number;

  constructor(readonly device: TapDevice) {
    this.fd = device.fd;
    this.start = device.headerSize;
  }

  /** Reads the next frame into `buffer`; gives where it ends, or a negative errno. */
  read(): number {
    const end = readFrame(this.fd, this.buffer);
    if (end > 0 && this.start > 0) {
      const { buffer } = this;
      this.trusted = (buffer[0]! & (FLAG.NEEDS_CSUM | FLAG.DATA_VALID)) !== 0;
      this.segmentSize = buffer[1] === GSO.UDP_L4 ? buffer[4]! | (buffer[5]! << 8) : 0;
    }
    return end;
  }

  /** Sends one frame to the guest. */
  write(frame: OutFrame): void {
    const { header, payloadLength } = frame;
    const size = this.start;
    const start = frame.headerStart - size;
    if (size > 0) this.putHeader(frame, start);
    const length = frame.headerLength + size;
    const written =
      payloadLength === 0
        ? writeFrame(this.fd, header, start, length)
        : writeFrameParts(this.fd, header, start, length, frame.payload, frame.payloadStart, payloadLength);
    if (written < 0) this.dropped++;
  }

  private putHeader(frame: OutFrame, at: number): void {
    const { header, checksumStart, segmentSize } = frame;
    for (let index = VNET_FIELDS; index < this.start; index++) header[at + index] = 0;
    const several = segmentSize > 0 && frame.payloadLength > segmentSize;
    header[at] = checksumStart > 0 ? FLAG.NEEDS_CSUM : 0;
    header[at + 1] = several ? gsoType(frame) : 0;
    put16(header, at + 2, several ? frame.headerLength : 0);
    put16(header, at + 4, several ? segmentSize : 0);
    put16(header, at + 6, checksumStart);
    put16(header, at + 8, checksumStart > 0 ? frame.checksumOffset : 0);
  }
}

function gsoType(frame: OutFrame): number {
  if (frame.checksumOffset === UDP_CHECKSUM) return GSO.UDP_L4;
  return frame.family === 6 ? GSO.TCPV6 : GSO.TCPV4;
}

/** Bytes of the header that mean something; a longer one ends with a count of merged buffers, which is 0. */
const VNET_FIELDS = 10;

function put16(buffer: Uint8Array, at: number, value: number): void {
  buffer[at] = value & 0xff;
  buffer[at + 1] = value >> 8;
}
