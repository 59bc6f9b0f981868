/** Frames to and from a tap: one read(2) for each, one write in two parts (writev(2)) for each. Negative errno values. */
import { ERRNO } from "./errno.ts";
import { errnoNow } from "./libc.ts";
import { addressOf, bytes } from "./mem.ts";
import { packetLibc } from "./packet-libc.ts";

/** Two `struct iovec`. */
const vector = bytes(32);
const words = new Uint32Array(vector.buffer);

function setPart(index: number, buffer: Uint8Array<ArrayBuffer>, start: number, length: number): void {
  const address = addressOf(buffer) + start;
  words[index] = address;
  words[index + 1] = address / 2 ** 32;
  words[index + 2] = length;
}

/** Reads one frame: its length with all that the device puts before it, or a negative errno. */
export function readFrame(fd: number, buffer: Uint8Array<ArrayBuffer>): number {
  for (;;) {
    const count = packetLibc.read(fd, addressOf(buffer), buffer.length);
    if (count >= 0) return count;
    const errno = errnoNow();
    if (errno !== ERRNO.EINTR) return -errno;
  }
}

/** Writes one frame that lies in one piece. */
export function writeFrame(
  fd: number,
  buffer: Uint8Array<ArrayBuffer>,
  start: number,
  length: number,
): number {
  for (;;) {
    const count = packetLibc.write(fd, addressOf(buffer) + start, length);
    if (count >= 0) return count;
    const errno = errnoNow();
    if (errno !== ERRNO.EINTR) return -errno;
  }
}

/** Writes one frame that lies in two pieces. */
export function writeFrameParts(
  fd: number,
  header: Uint8Array<ArrayBuffer>,
  headerStart: number,
  headerLength: number,
  payload: Uint8Array<ArrayBuffer>,
  payloadStart: number,
  payloadLength: number,
): number {
  setPart(0, header, headerStart, headerLength);
  setPart(4, payload, payloadStart, payloadLength);
  for (;;) {
    const count = packetLibc.writev(fd, addressOf(vector), 2);
    if (count >= 0) return count;
    const errno = errnoNow();
    if (errno !== ERRNO.EINTR) return -errno;
  }
}

/** Copies part of one buffer into another, which must have room for it; unlike `set`, without a view in between. */
export function copyPart(
  to: Uint8Array<ArrayBuffer>,
  at: number,
  from: Uint8Array<ArrayBuffer>,
  start: number,
  length: number,
): void {
  if (at < 0 || start < 0 || length < 0 || at + length > to.length || start + length > from.length)
    throw new RangeError(`no room for ${length} bytes`);
  packetLibc.memcpy(addressOf(to) + at, addressOf(from) + start, length);
}
