/** A segment that came in: its header's values, and where its text lies. One object serves all of a stack. */
import { addBytes, isSound, pseudoHeader } from "../../wire/checksum.ts";
import { headerLength, parseOptions, TCP, TCP_FLAG, TcpOptions } from "../../wire/tcp.ts";
import type { Packet } from "../packet.ts";

const PROTOCOL_TCP = 6;

export class Segment {
  sourcePort = 0;
  destinationPort = 0;
  sequence = 0;
  acknowledgment = 0;
  flags = 0;
  /** As it stands in the header, not scaled. */
  window = 0;
  readonly options = new TcpOptions();
  buffer: Uint8Array<ArrayBuffer> = new Uint8Array(new ArrayBuffer(0));
  textStart = 0;
  textLength = 0;

  /** Reads the packet's segment; false when it is none, or damaged. */
  read(packet: Packet): boolean {
    const { view, transport } = packet;
    const length = packet.end - transport;
    if (length < TCP.HEADER) return false;
    const header = headerLength(view, transport);
    if (header < TCP.HEADER || header > length) return false;
    if (!packet.trusted) {
      const pseudo = pseudoHeader(
        packet.buffer,
        packet.source,
        packet.destination,
        packet.family,
        PROTOCOL_TCP,
        length,
      );
      if (!isSound(addBytes(pseudo, packet.buffer, transport, length))) return false;
    }
    this.sourcePort = view.getUint16(transport + TCP.SOURCE_PORT);
    this.destinationPort = view.getUint16(transport + TCP.DESTINATION_PORT);
    this.sequence = view.getInt32(transport + TCP.SEQUENCE);
    this.acknowledgment = view.getInt32(transport + TCP.ACKNOWLEDGMENT);
    this.flags = view.getUint8(transport + TCP.FLAGS);
    this.window = view.getUint16(transport + TCP.WINDOW);
    if (header > TCP.HEADER) parseOptions(view, transport + TCP.HEADER, transport + header, this.options);
    else this.options.reset();
    this.buffer = packet.buffer;
    this.textStart = transport + header;
    this.textLength = length - header;
    return true;
  }

  /** Numbers that the segment takes: its text, SYN and FIN. */
  get span(): number {
    return this.textLength + (this.flags & TCP_FLAG.SYN ? 1 : 0) + (this.flags & TCP_FLAG.FIN ? 1 : 0);
  }
}
