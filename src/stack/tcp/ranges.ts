/**
 * Stretches of the sequence space, in order and apart: what lies behind a gap at the receiver, and what the other side has
 * said to hold (SACK) at the sender. Looked up by bisection; a list has an upper bound, so that a peer that sends every
 * second byte can't make it long.
 */
import { seqDiff, seqGe, seqGt, seqLe, seqLt, seqMax, seqMin } from "./sequence.ts";

const MOST = 1024;

export class Ranges {
  count = 0;
  /** Bytes in all stretches. */
  bytes = 0;
  /** First byte, and first byte after. */
  private starts = new Int32Array(8);
  private ends = new Int32Array(8);

  start(index: number): number {
    return this.starts[index]!;
  }

  end(index: number): number {
    return this.ends[index]!;
  }

  /**
   * Adds the bytes from `start` to before `end`. Gives how many of them are new; -1, and nothing is added, when the list is
   * full.
   */
  add(start: number, end: number): number {
    if (seqGe(start, end)) return 0;
    // `first` to before `last`: those that touch or overlap the new one.
    let first = this.after(start);
    if (first > 0 && seqGe(this.ends[first - 1]!, start)) first--;
    let last = first;
    let covered = 0;
    while (last < this.count && seqLe(this.starts[last]!, end)) {
      covered += seqDiff(this.ends[last]!, this.starts[last]!);
      last++;
    }
    if (first === last) {
      if (this.count === MOST) return -1;
      if (this.count === this.starts.length) this.grow();
      this.starts.copyWithin(first + 1, first, this.count);
      this.ends.copyWithin(first + 1, first, this.count);
      this.starts[first] = start;
      this.ends[first] = end;
      this.count++;
    } else {
      this.starts[first] = seqMin(this.starts[first]!, start);
      this.ends[first] = seqMax(this.ends[last - 1]!, end);
      this.starts.copyWithin(first + 1, last, this.count);
      this.ends.copyWithin(first + 1, last, this.count);
      this.count -= last - first - 1;
    }
    const added = seqDiff(this.ends[first]!, this.starts[first]!) - covered;
    this.bytes += added;
    return added;
  }

  /** Forgets what lies before `edge`. */
  removeBefore(edge: number): void {
    let gone = 0;
    while (gone < this.count && seqLe(this.ends[gone]!, edge)) {
      this.bytes -= seqDiff(this.ends[gone]!, this.starts[gone]!);
      gone++;
    }
    if (gone > 0) {
      this.starts.copyWithin(0, gone, this.count);
      this.ends.copyWithin(0, gone, this.count);
      this.count -= gone;
    }
    if (this.count > 0 && seqLt(this.starts[0]!, edge)) {
      this.bytes -= seqDiff(edge, this.starts[0]!);
      this.starts[0] = edge;
    }
  }

  clear(): void {
    this.count = 0;
    this.bytes = 0;
  }

  /** Index of the stretch that holds the byte at `sequence`, or -1. */
  holding(sequence: number): number {
    const index = this.after(sequence) - 1;
    return index >= 0 && seqGt(this.ends[index]!, sequence) ? index : -1;
  }

  /** Index of the first stretch that begins after `sequence`; `count` when there is none. */
  after(sequence: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (seqGt(this.starts[middle]!, sequence)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** How many of the bytes from `start` to before `end` are held. */
  within(start: number, end: number): number {
    let bytes = 0;
    let index = Math.max(0, this.after(start) - 1);
    for (; index < this.count && seqLt(this.starts[index]!, end); index++) {
      const held = seqDiff(seqMin(this.ends[index]!, end), seqMax(this.starts[index]!, start));
      if (held > 0) bytes += held;
    }
    return bytes;
  }

  private grow(): void {
    const { starts, ends } = this;
    this.starts = new Int32Array(starts.length * 2);
    this.starts.set(starts);
    this.ends = new Int32Array(ends.length * 2);
    this.ends.set(ends);
  }
}
