/**
 * The event loop of the data plane: epoll, timers, and what is to be done once all events of a wake-up have been seen.
 *
 * The thread that calls `run` belongs to the loop: no promise, timer or event of the JavaScript engine comes to its turn
 * until `run` returns. Times are milliseconds of `performance.now()`, read once for each wake-up.
 */
import { Timer, Timers } from "../stack/timers.ts";
import { EPOLL, Epoll } from "../sys/epoll.ts";
import { sysError } from "../sys/errno.ts";
import { EventFd } from "../sys/eventfd.ts";

/** Whoever wants to know of a descriptor. */
export interface Ready {
  /** `events`: EPOLL bits. */
  ready(now: number, fd: number, events: number): void;
}

/** Whoever has work at the end of a wake-up, and at times of its own choosing. */
export interface Turn {
  /** When it must run at the latest; Infinity for never. */
  due: number;
  /** Set while it waits for the end of this wake-up. */
  touched: boolean;
  run(now: number): void;
}

/**
 * After this many wake-ups and then as many milliseconds of silence it is time to tidy up: a process that waits allocates
 * nothing, and so would keep what its last busy time has left.
 */
const UNTIDY_WAKE_UPS = 500;
const SILENCE = 2000;

/** A wait of so many milliseconds is rest. */
const REST = 50;

/** `epoll_wait` takes whole milliseconds; longer waits are cut. */
const LONGEST_WAIT = 60_000;

export class Loop {
  readonly timers = new Timers();
  /** How often the loop has woken up. */
  wakeUps = 0;
  private readonly epoll = new Epoll();
  /** By descriptor: who is told, and which of the descriptor's lives it is. */
  private readonly sinks: (Ready | undefined)[] = [];
  private readonly lives: number[] = [];
  private readonly turns: Turn[] = [];
  private readonly touched: Turn[] = [];
  private readonly wake = new EventFd();
  private running = false;
  private tidiedAt = 0;
  private beforeRest: (() => void) | undefined;
  private whenSilent = () => {};

  /** `silence`: see `SILENCE`. */
  constructor(private readonly silence = SILENCE) {
    this.add(this.wake.fd, EPOLL.IN, { ready: () => void this.wake.clear() });
  }

  /** Watches `fd`; 0 or a negative errno. `forget` comes before the descriptor is closed. */
  add(fd: number, events: number, sink: Ready): number {
    const life = ((this.lives[fd] ?? 0) + 1) >>> 0;
    const result = this.epoll.add(fd, events, life);
    if (result < 0) return result;
    this.lives[fd] = life;
    this.sinks[fd] = sink;
    return 0;
  }

  /** Other events for a descriptor that is watched. */
  change(fd: number, events: number): void {
    this.epoll.modify(fd, events, this.lives[fd]!);
  }

  /** Other ears for a descriptor that is watched. */
  hand(fd: number, sink: Ready): void {
    this.sinks[fd] = sink;
  }

  /** True while `sink` is who hears of `fd`. */
  listens(fd: number, sink: Ready): boolean {
    return this.sinks[fd] === sink;
  }

  /**
   * Forgets a descriptor that is about to be closed: closing it takes it out of epoll, and what epoll has told of it in
   * this wake-up is not passed on, even if the number is in use again by then.
   */
  forget(fd: number): void {
    this.sinks[fd] = undefined;
  }

  /** Watches a descriptor that stays open elsewhere or that is seldom ready. Level-triggered. */
  watch(fd: number, events: number, callback: (events: number) => void): void {
    const result = this.add(fd, events, { ready: (_now, _fd, seen) => callback(seen) });
    if (result < 0) throw sysError("epoll_ctl", -result, `descriptor ${fd}`);
  }

  /** Forgets a descriptor that may be open elsewhere too, in which case close(2) would leave it in epoll. */
  unwatch(fd: number): void {
    this.epoll.remove(fd);
    this.forget(fd);
  }

  /** Calls `action` once, some milliseconds from now. */
  later(milliseconds: number, action: () => void): void {
    this.timers.set(new Timer(action), performance.now() + milliseconds);
  }

  /** Calls `action` once, as the last thing before the loop next waits for more than a moment. */
  atRest(action: () => void): void {
    this.beforeRest = action;
  }

  /** Calls `action` each time that it is silent after a busy time. */
  inSilence(action: () => void): void {
    this.whenSilent = action;
  }

  /** Whether it was not busy since `wakeUps` was `before`. When it was, silence is still to come. */
  isIdleSince(before: number): boolean {
    return this.wakeUps - before <= UNTIDY_WAKE_UPS;
  }

  /** Takes part in the turns. */
  join(turn: Turn): void {
    this.turns.push(turn);
  }

  leave(turn: Turn): void {
    const at = this.turns.indexOf(turn);
    if (at >= 0) this.turns.splice(at, 1);
    turn.due = Number.POSITIVE_INFINITY;
  }

  /** `turn` runs at the end of this wake-up. */
  touch(turn: Turn): void {
    if (turn.touched) return;
    turn.touched = true;
    this.touched.push(turn);
  }

  /** Runs until `stop`. */
  run(): void {
    this.running = true;
    while (this.running) this.once();
  }

  /** The same, with a turn for the JavaScript engine's own events after each wake-up, though none of them wakes it. */
  async serve(): Promise<void> {
    this.running = true;
    while (this.running) {
      this.once();
      await new Promise(setImmediate);
    }
  }

  /** `run` returns at the end of this wake-up; called from within, or from a signal's or another thread's side. */
  stop(): void {
    this.running = false;
    this.wake.signal();
  }

  private once(): void {
    const { epoll, turns } = this;
    const wait = this.timeout();
    if (this.beforeRest && (wait < 0 || wait >= REST)) this.rest(this.beforeRest);
    const silence = (wait < 0 || wait > this.silence) && !this.isIdleSince(this.tidiedAt);
    const count = epoll.wait(silence ? this.silence : wait);
    const now = performance.now();
    this.wakeUps++;
    if (silence && count === 0) this.tidy();
    for (let index = 0; index < count; index++) {
      const fd = epoll.fdAt(index);
      const sink = this.sinks[fd];
      if (sink !== undefined && this.lives[fd] === epoll.tagAt(index))
        sink.ready(now, fd, epoll.eventsAt(index));
    }
    if (this.timers.next() <= now) this.timers.run(now);
    for (let index = 0; index < turns.length; index++) {
      const turn = turns[index]!;
      if (turn.due <= now) this.touch(turn);
    }
    for (let index = 0; index < this.touched.length; index++) {
      const turn = this.touched[index]!;
      turn.touched = false;
      turn.run(now);
    }
    this.touched.length = 0;
  }

  private rest(action: () => void): void {
    this.beforeRest = undefined;
    action();
  }

  private tidy(): void {
    this.tidiedAt = this.wakeUps;
    this.whenSilent();
  }

  /** Milliseconds until the next timer or turn is due, rounded up so that it is due when the wait is over. */
  private timeout(): number {
    if (this.touched.length > 0 || !this.running) return 0;
    let due = this.timers.next();
    for (let index = 0; index < this.turns.length; index++) due = Math.min(due, this.turns[index]!.due);
    if (due === Number.POSITIVE_INFINITY) return -1;
    return Math.min(Math.max(Math.ceil(due - performance.now()), 0), LONGEST_WAIT);
  }
}
