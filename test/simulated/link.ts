/** One direction of a wire: it delays, and it may lose, double and reorder what is put on it. */
import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";

export interface LinkOptions {
  /** Milliseconds. */
  delay: number;
  /** Up to so many milliseconds more, each frame for itself: frames overtake each other. */
  jitter: number;
  /** Probabilities. */
  loss: number;
  duplication: number;
}

export class Link<T> {
  lost = 0;
  #last = 0;

  constructor(
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly options: LinkOptions,
    private readonly deliver: (frame: T) => void,
  ) {}

  put(frame: T): void {
    const { loss, duplication, delay, jitter } = this.options;
    if (this.random.chance(loss)) {
      this.lost++;
      return;
    }
    const copies = this.random.chance(duplication) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      let when = this.clock.now + delay + jitter * this.random.next();
      // Without jitter it is a queue.
      if (jitter === 0) when = Math.max(when, this.#last);
      this.#last = when;
      this.clock.at(when, () => this.deliver(frame));
    }
  }
}
