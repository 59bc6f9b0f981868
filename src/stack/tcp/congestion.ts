/**
 * How much may be on its way to the guest (RFC 5681): slow start, congestion avoidance, and what loss does to them.
 *
 * The wire is a queue in local memory. So the window starts at ten super-frames, and a loss, which there means that the
 * guest's queue was full for a moment, takes 3 tenths of it (as RFC 9438, 4.6 has it), not half. Sizes are bytes.
 */

const INITIAL = 10 * 65_536;
const MOST = 1 << 29;
const KEPT_ON_LOSS = 0.7;

export class Congestion {
  window = INITIAL;
  threshold = MOST;

  /** New data was acknowledged outside of recovery; `limited`: the window was what held the sender back. */
  acknowledged(bytes: number, segment: number, limited: boolean): void {
    if (!limited || this.window >= MOST) return;
    if (this.window < this.threshold) this.window += bytes;
    else this.window += Math.max(1, Math.floor((segment * bytes) / this.window));
  }

  /** Loss that other data's arrival tells of; `flight`: what was on its way. */
  lost(flight: number, segment: number): void {
    this.threshold = Math.max(Math.floor(flight * KEPT_ON_LOSS), 2 * segment);
    this.window = this.threshold;
  }

  /** The timer went off; `again`: for the same data once more, which says nothing new about the path (RFC 5681, 3.1). */
  timedOut(flight: number, segment: number, again: boolean): void {
    if (!again) this.threshold = Math.max(flight >> 1, 2 * segment);
    this.window = segment;
  }

  /** Slow start while what was lost is sent again. */
  recovering(bytes: number): void {
    if (this.window < this.threshold) this.window += bytes;
  }
}
