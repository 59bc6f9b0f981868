/**
 * Datagrams of one flow that came one right after the other, on their way to the guest as one frame: the guest's kernel
 * takes them apart (virtio's UDP segmentation offload). What a datagram costs is the way through that kernel, not its
 * bytes. All have the same length but the last, which may be shorter.
 */

/** The longest that a receiver gives. */
export const MAX_DATAGRAM = 65_535;
/** Limits of the kernel (UDP_MAX_SEGMENTS, 64 in older ones) and of an IP packet, headers deducted. */
const MOST_COUNT = 64;
const MOST_BYTES = 65_535 - 20 - 8;

export class DatagramTrain {
  /** The train is at its start, be it a single datagram of any length; behind it there is room for another. */
  readonly buffer = new Uint8Array(new ArrayBuffer(2 * MAX_DATAGRAM));
  end = 0;
  count = 0;
  /** Bytes of the first datagram. */
  size = 0;
  #closed = false;

  clear(): void {
    this.end = 0;
    this.count = 0;
    this.#closed = false;
  }

  /** Takes in the `length` bytes that lie at `end`; false when they can't be part of the train. `most`: see `restart`. */
  couple(length: number, most: number): boolean {
    if (this.count === 0) {
      this.#begin(length, most);
      return true;
    }
    const fits =
      !this.#closed &&
      length <= this.size &&
      length > 0 &&
      this.end + length <= MOST_BYTES &&
      this.count < MOST_COUNT;
    if (!fits) return false;
    this.end += length;
    this.count++;
    this.#closed = length < this.size;
    return true;
  }

  /** Begins a train of the `length` bytes at `from`. Nothing is coupled to one longer than `most`, or of no bytes. */
  restart(from: number, length: number, most: number): void {
    this.buffer.copyWithin(0, from, from + length);
    this.#begin(length, most);
  }

  #begin(length: number, most: number): void {
    this.size = length;
    this.end = length;
    this.count = 1;
    this.#closed = length === 0 || length > most;
  }
}
