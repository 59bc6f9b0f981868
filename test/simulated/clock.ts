/** Virtual time: what is to happen, in order; things of the same time in the order they were asked for. */
export class Clock {
  now = 1_000_000;
  #events: { when: number; order: number; action: () => void }[] = [];
  #order = 0;

  at(when: number, action: () => void): void {
    const event = { when: Math.max(when, this.now), order: this.#order++, action };
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#events[middle]!.when <= event.when) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, event);
  }

  after(milliseconds: number, action: () => void): void {
    this.at(this.now + milliseconds, action);
  }

  /** When the next thing happens; Infinity if nothing will. */
  get next(): number {
    return this.#events[0]?.when ?? Number.POSITIVE_INFINITY;
  }

  step(): void {
    const event = this.#events.shift()!;
    this.now = event.when;
    event.action();
  }
}
