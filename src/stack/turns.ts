/** Flows whose sockets had more to bring than their turn: they go on once everybody else has had one. */
import { Timer, type Timers } from "./timers.ts";

/** Messages that one socket may bring in a turn. */
export const TURN = 64;

export class Turns<F> {
  readonly #timers: Timers;
  readonly #resume: (now: number, flow: F) => void;
  readonly #timer = new Timer(now => this.#run(now));
  readonly #waiting: F[] = [];

  /** `resume` may be called for a flow that has ended meanwhile. */
  constructor(timers: Timers, resume: (now: number, flow: F) => void) {
    this.#timers = timers;
    this.#resume = resume;
  }

  wait(now: number, flow: F): void {
    this.#waiting.push(flow);
    if (this.#timer.place < 0) this.#timers.set(this.#timer, now);
  }

  #run(now: number): void {
    const count = this.#waiting.length;
    for (let index = 0; index < count; index++) this.#resume(now, this.#waiting[index]!);
    this.#waiting.splice(0, count);
  }
}
