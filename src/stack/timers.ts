/**
 * The stack's timers: a binary heap in which a timer that is put off stays where it is, and is put right when its old
 * time comes. Putting off is what TCP does with every segment, and so costs one store.
 *
 * Times are milliseconds of a monotonic clock, the one that `now` is given in; fractions are welcome.
 */

export class Timer {
  /** When it goes off; Infinity while it is not set. */
  due = Number.POSITIVE_INFINITY;
  /** What it is filed under: never later than `due`. */
  filed = 0;
  /** Place in the heap, or -1. */
  place = -1;

  /** `expire` is called with the time of the run, after the timer was taken off; it may set it again. */
  constructor(readonly expire: (now: number) => void) {}
}

export class Timers {
  private readonly heap: Timer[] = [];

  /** Sets the timer, or moves it. A time that has passed is for the next run. */
  set(timer: Timer, when: number): void {
    timer.due = when;
    if (timer.place < 0) {
      timer.filed = when;
      timer.place = this.heap.length;
      this.heap.push(timer);
      this.rise(timer);
    } else if (when < timer.filed) {
      timer.filed = when;
      this.rise(timer);
    }
  }

  cancel(timer: Timer): void {
    timer.due = Number.POSITIVE_INFINITY;
    if (timer.place >= 0) this.take(timer);
  }

  /** When `run` next has something to do, at the latest; Infinity if no timer is set. */
  next(): number {
    return this.heap.length === 0 ? Number.POSITIVE_INFINITY : this.heap[0]!.filed;
  }

  /** Lets everything go off that is due at `now`. What is set to a passed time meanwhile waits for the next run. */
  run(now: number): void {
    const { heap } = this;
    const expired: Timer[] = heap.length > 0 && heap[0]!.filed <= now ? [] : NOTHING;
    while (heap.length > 0 && heap[0]!.filed <= now) {
      const timer = heap[0]!;
      if (timer.due <= now) {
        this.take(timer);
        expired.push(timer);
      } else {
        timer.filed = timer.due;
        this.sink(timer);
      }
    }
    for (const timer of expired) {
      // One that an earlier one of this run has cancelled or put off stays silent.
      if (timer.place >= 0 || timer.due > now) continue;
      timer.due = Number.POSITIVE_INFINITY;
      timer.expire(now);
    }
  }

  private take(timer: Timer): void {
    const last = this.heap.pop()!;
    if (last !== timer) {
      last.place = timer.place;
      this.heap[last.place] = last;
      this.rise(last);
      this.sink(last);
    }
    timer.place = -1;
  }

  private rise(timer: Timer): void {
    const { heap } = this;
    let at = timer.place;
    while (at > 0) {
      const parent = heap[(at - 1) >> 1]!;
      if (parent.filed <= timer.filed) break;
      heap[at] = parent;
      parent.place = at;
      at = (at - 1) >> 1;
    }
    heap[at] = timer;
    timer.place = at;
  }

  private sink(timer: Timer): void {
    const { heap } = this;
    let at = timer.place;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.filed < heap[child]!.filed) child++;
      const below = heap[child]!;
      if (below.filed >= timer.filed) break;
      heap[at] = below;
      below.place = at;
      at = child;
    }
    heap[at] = timer;
    timer.place = at;
  }
}

const NOTHING: Timer[] = [];
