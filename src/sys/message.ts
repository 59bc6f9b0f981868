/**
 * `struct msghdr` (recvmsg(2)) with one buffer, one address and one piece of control data, laid out for LP64. It keeps
 * alive what it points to, and serves many calls.
 */
import { addressOf, bytes } from "./mem.ts";

const NAME = 0;
const NAME_LENGTH = 8;
const VECTOR = 16;
const VECTOR_COUNT = 24;
const CONTROL = 32;
const CONTROL_LENGTH = 40;
const FLAGS = 48;
const SIZE = 56;
/** Bytes of a `struct cmsghdr`: length (8), level (4), type (4). */
export const CMSG_HEADER = 16;

/** The bytes that a control message of `length` bytes takes, padding and header included (CMSG_SPACE). */
export function controlSpace(length: number): number {
  return CMSG_HEADER + Math.ceil(length / 8) * 8;
}

export class MessageHeader {
  readonly bytes: Uint8Array<ArrayBuffer> = bytes(SIZE);
  readonly name: Uint8Array<ArrayBuffer>;
  readonly control: Uint8Array<ArrayBuffer>;
  readonly controlView: DataView<ArrayBuffer>;
  private readonly view = new DataView(this.bytes.buffer);
  private readonly vector = new BigUint64Array(new ArrayBuffer(16));
  private readonly vectorView = new DataView(this.vector.buffer);
  private data: Uint8Array<ArrayBuffer> = this.bytes;

  /** With room for an address of `nameSize` bytes and for `controlSize` bytes of control messages. */
  constructor(nameSize: number, controlSize: number) {
    this.name = bytes(nameSize);
    this.control = bytes(controlSize);
    this.controlView = new DataView(this.control.buffer);
    if (nameSize > 0) this.setAddress(NAME, addressOf(this.name));
    this.setAddress(VECTOR, addressOf(new Uint8Array(this.vector.buffer)));
    this.setAddress(VECTOR_COUNT, 1);
    if (controlSize > 0) this.setAddress(CONTROL, addressOf(this.control));
  }

  /** User addresses have 47 bits (57 at most): a number holds them. */
  private setAddress(offset: number, address: number): void {
    this.view.setUint32(offset, address % 2 ** 32, true);
    this.view.setUint32(offset + 4, Math.floor(address / 2 ** 32), true);
  }

  /** The bytes to send, or the room to receive into. */
  setData(buffer: Uint8Array<ArrayBuffer>, start: number, length: number): void {
    this.data = buffer;
    const address = addressOf(this.data) + start;
    this.vectorView.setUint32(0, address % 2 ** 32, true);
    this.vectorView.setUint32(4, Math.floor(address / 2 ** 32), true);
    this.vectorView.setUint32(8, length, true);
  }

  set nameLength(length: number) {
    this.view.setUint32(NAME_LENGTH, length, true);
  }
  get nameLength(): number {
    return this.view.getUint32(NAME_LENGTH, true);
  }

  set controlLength(length: number) {
    this.view.setUint32(CONTROL_LENGTH, length, true);
  }
  get controlLength(): number {
    return this.view.getUint32(CONTROL_LENGTH, true);
  }

  /** MSG_TRUNC, MSG_CTRUNC, … as recvmsg(2) set them. */
  get flags(): number {
    return this.view.getInt32(FLAGS, true);
  }

  /** Writes one control message at `offset` of the control data; gives the offset after it. */
  putControl(offset: number, level: number, type: number, data: Uint8Array): number {
    this.controlView.setUint32(offset, CMSG_HEADER + data.length, true);
    this.controlView.setUint32(offset + 4, 0, true);
    this.controlView.setInt32(offset + 8, level, true);
    this.controlView.setInt32(offset + 12, type, true);
    this.control.set(data, offset + CMSG_HEADER);
    return offset + controlSpace(data.length);
  }

  /** The offset of the data of the first control message of that kind, -1 when there is none. */
  findControl(level: number, type: number): number {
    const end = this.controlLength;
    for (let offset = 0; offset + CMSG_HEADER <= end; ) {
      const length = this.controlView.getUint32(offset, true);
      if (length < CMSG_HEADER || offset + length > end) return -1;
      if (
        this.controlView.getInt32(offset + 8, true) === level &&
        this.controlView.getInt32(offset + 12, true) === type
      )
        return offset + CMSG_HEADER;
      offset += Math.ceil(length / 8) * 8;
    }
    return -1;
  }

  /** The bytes of data in the control message whose data begins at `offset`. */
  controlDataLength(offset: number): number {
    return this.controlView.getUint32(offset - CMSG_HEADER, true) - CMSG_HEADER;
  }
}
