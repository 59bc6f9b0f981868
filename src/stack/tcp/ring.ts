/**
 * Memory for data under way: rings whose size is a power of two, so that a sequence number, masked, is a place; a pool
 * that keeps a few of them for the next flow; and the budget that all flows of a stack share.
 */
import { seqDiff } from "./sequence.ts";

/** Smallest ring, and what every flow may count on in each direction. */
export const SMALLEST_RING = 16 * 1024;
/** Bytes of rings that wait for their next flow, at most: one of the largest. */
const KEPT = 2 * 1024 * 1024;
/** How many of the smallest wait when there are no flows. */
const KEPT_IDLE = 4;

export class Ring {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly mask: number;

  /** `size`: bytes, a power of two. */
  constructor(readonly size: number) {
    this.bytes = new Uint8Array(new ArrayBuffer(size));
    this.mask = size - 1;
  }

  /** How many bytes from `sequence` on lie in one piece before the ring's end. */
  contiguous(sequence: number): number {
    return this.size - (sequence & this.mask);
  }

  /** Copies `length` bytes from `from` to where the sequence number says. */
  write(sequence: number, from: Uint8Array<ArrayBuffer>, start: number, length: number): void {
    const at = sequence & this.mask;
    const head = Math.min(length, this.size - at);
    this.bytes.set(from.subarray(start, start + head), at);
    if (head < length) this.bytes.set(from.subarray(start + head, start + length), 0);
  }

  /** Copies the bytes from `start` to before `end` to their places in a larger ring. */
  moveTo(ring: Ring, start: number, end: number): void {
    let sequence = start;
    for (let left = seqDiff(end, start); left > 0; ) {
      const piece = Math.min(left, this.contiguous(sequence));
      ring.write(sequence, this.bytes, sequence & this.mask, piece);
      sequence = (sequence + piece) | 0;
      left -= piece;
    }
  }
}

export class RingPool {
  private readonly free = new Map<number, Ring[]>();
  private kept = 0;

  take(size: number): Ring {
    const ring = this.free.get(size)?.pop();
    if (ring === undefined) return new Ring(size);
    this.kept -= size;
    return ring;
  }

  give(ring: Ring): void {
    if (this.kept + ring.size > KEPT) return;
    this.kept += ring.size;
    const rings = this.free.get(ring.size);
    if (rings === undefined) this.free.set(ring.size, [ring]);
    else rings.push(ring);
  }

  /** There are no flows: keeps a few small rings, which the next short connection will want, and none else. */
  clear(): void {
    const small = this.free.get(SMALLEST_RING)?.splice(0, KEPT_IDLE) ?? [];
    this.free.clear();
    this.free.set(SMALLEST_RING, small);
    this.kept = small.length * SMALLEST_RING;
  }
}

/** Bytes that flows have been promised, whether or not they use them. */
export class Budget {
  used = 0;

  constructor(readonly total: number) {}

  /** Promises `bytes`; false, and nothing is promised, when that is more than there is. */
  reserve(bytes: number): boolean {
    if (this.used + bytes > this.total) return false;
    this.used += bytes;
    return true;
  }

  release(bytes: number): void {
    this.used -= bytes;
  }

  /** More than three quarters are promised: who has grows no more, who is new gets little. */
  get scarce(): boolean {
    return this.used > this.total * 0.75;
  }
}

/** The smallest ring size that holds `bytes`. */
export function ringSize(bytes: number): number {
  let size = SMALLEST_RING;
  while (size < bytes) size *= 2;
  return size;
}
