/**
 * The retransmission timeout (RFC 6298), in milliseconds. The wire is local memory, so the least is 200 ms as in Linux,
 * not the RFC's second.
 */

export const RTO = { INITIAL: 1000, LEAST: 200, MOST: 60_000 } as const;

export class RetransmissionTimeout {
  /** What the timer is to be set to, back-off included. */
  value: number = RTO.INITIAL;
  /** Smoothed round trip; -1 before the first measurement. */
  smoothed = -1;
  private variation = 0;
  private base: number = RTO.INITIAL;

  /** A round trip was measured on a segment that was sent once (Karn's algorithm), or by timestamps. */
  measured(milliseconds: number): void {
    if (this.smoothed < 0) {
      this.smoothed = milliseconds;
      this.variation = milliseconds / 2;
    } else {
      this.variation += (Math.abs(this.smoothed - milliseconds) - this.variation) / 4;
      this.smoothed += (milliseconds - this.smoothed) / 8;
    }
    this.base = Math.min(RTO.MOST, Math.max(RTO.LEAST, this.smoothed + 4 * this.variation));
    this.value = this.base;
  }

  /** The timer went off (5.5). */
  backOff(): void {
    this.value = Math.min(RTO.MOST, this.value * 2);
  }

  /** Something new was acknowledged, and nothing could be measured on it. */
  progress(): void {
    this.value = this.base;
  }
}
