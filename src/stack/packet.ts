/**
 * A packet on its way through the layers: where its parts lie in the buffer that it came in. One object serves all
 * packets of a stack, so nobody keeps it; what must last is copied.
 */
export class Packet {
  buffer: Uint8Array<ArrayBuffer> = new Uint8Array(new ArrayBuffer(0));
  view: DataView<ArrayBuffer> = new DataView(this.buffer.buffer);
  family: 4 | 6 = 4;
  /** Offset of the IP header. */
  ip = 0;
  /** Offsets of the source and destination addresses: 4 or 16 bytes each. */
  source = 0;
  destination = 0;
  /** IP protocol number of what follows at `transport`; extension headers are behind us. */
  protocol = 0;
  /** Offset of the transport's header. */
  transport = 0;
  /** Offset of the first byte after the packet; the frame's padding is cut off. */
  end = 0;
  /** TTL or hop limit. */
  hops = 0;
  /** The transport's checksum was vouched for by the guest's kernel and must not be looked at (virtio offload). */
  trusted = false;
  /** Bytes of payload to a datagram where a frame brings several of UDP at once (virtio offload), else 0. */
  segmentSize = 0;
}
