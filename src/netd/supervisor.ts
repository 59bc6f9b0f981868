/**
 * Keeps a data plane alive. The supervisor holds what must not be lost, the taps and the sockets that listen, and the
 * orders that belong to them; the data plane is told all of it when it starts. When it dies, of whatever, the next one is
 * told the same: interfaces stay, callers wait in the sockets' queues, and connections that nobody knows any more are
 * reset.
 *
 * One order is on its way at a time: the kernel limits how many descriptors may be (unix(7), ETOOMANYREFS).
 */
import { BugError, errorText, hasCode, UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { closeFd } from "../sys/fd.ts";
import { sendFds } from "../sys/scm-rights.ts";
import {
  type Answer,
  decodeMessage,
  encodeMessage,
  type KeyedOrder,
  type Notice,
  type Order,
} from "./control.ts";

/** Data planes in a row that end before one of them has carried out an order; then it is given up. */
const MAX_FAILURES = 5;
/** Data planes that may die with one order on its way; then it is refused, for it is what they die of. */
const MAX_DEATHS = 3;
/** Milliseconds that a data plane must have lived for the next one to start at once, and the pause otherwise. */
const SHORT_LIFE = 1000;
const PAUSE = 100;

/** A data plane that runs. */
export interface Plane {
  readonly pid: number;
  /** Our end of its control socket. */
  readonly control: number;
  /** Kills it, unless it has ended, and lets go of the control socket. */
  close(): void;
}

export interface PlaneEvents {
  /** One packet of the control socket's. */
  packet(data: Uint8Array): void;
  /** Called once, when it has ended and not by `close`. */
  ended(how: string): void;
}

/** What a supervisor lives in: who starts data planes, listens to them, and wakes it up. */
export interface Surroundings {
  start(events: PlaneEvents): Plane;
  later(milliseconds: number, action: () => void): void;
}

interface Job {
  order: Order;
  fds: readonly number[];
  /** It was carried out before, by a data plane that has died since. */
  again?: true;
  /** Called once: it was carried out, or why it was not. */
  done(error?: Error): void;
}

interface Entry {
  order: KeyedOrder;
  fds: readonly number[];
  /** Absent once a data plane has carried the order out. */
  job?: Job | undefined;
}

export interface SupervisorOptions {
  /** `gaveUp` is called once at most, when the data plane can't be kept alive. */
  gaveUp: (error: Error) => void;
  /** Called when an order can't be kept in force, most often since a tap's device is no more; it stays until it is removed. */
  gone?: (key: string) => void;
}

export class Supervisor {
  private readonly entries = new Map<string, Entry>();
  private queue: Job[] = [];
  private current: Job | undefined;
  private plane: Plane | undefined;
  private seq = 0;
  private failures = 0;
  /** What the last data plane had on its way when it died, and how many in a row. */
  private suspect = { key: "", deaths: 0 };
  private startedAt = 0;
  private stopping = false;

  constructor(
    private readonly surroundings: Surroundings,
    private readonly options: SupervisorOptions,
  ) {}

  /** The data plane's pid; 0 while there is none. */
  get pid(): number {
    return this.plane?.pid ?? 0;
  }

  /** Orders in force or on their way to be, the oldest first. */
  orders(): KeyedOrder[] {
    return [...this.entries.values()].map(entry => entry.order);
  }

  /** How many these are. */
  get size(): number {
    return this.entries.size;
  }

  /** True when the order of this key is one of them. */
  has(key: string): boolean {
    return this.entries.has(key);
  }

  /** Starts the data plane, which then carries out every order given so far. */
  start(): void {
    this.startedAt = performance.now();
    try {
      this.plane = this.surroundings.start(this.events());
    } catch (error) {
      this.restart(new UserError(`the data plane did not start: ${errorText(error)}`, { exitCode: 1 }));
      return;
    }
    this.pump();
  }

  /** Begins with a data plane that runs already and has carried out `orders`, whose descriptors are ours from now on. */
  takeOver(
    follow: (events: PlaneEvents) => Plane,
    orders: readonly { order: KeyedOrder; fds: readonly number[] }[],
  ): void {
    for (const { order, fds } of orders) this.entries.set(order.key, { order, fds });
    this.plane = follow(this.events());
  }

  private events(): PlaneEvents {
    return { packet: data => this.heard(data), ended: how => this.ended(how) };
  }

  private heard(data: Uint8Array): void {
    const message = decodeMessage<Answer | Notice>(data);
    if ("gone" in message) {
      this.options.gone?.(message.gone);
      return;
    }
    this.failures = 0;
    if (message.seq !== this.seq || !this.current) return;
    const { error } = message;
    this.finish(this.current, error === undefined ? undefined : new UserError(error, { exitCode: 1 }));
  }

  private pump(): void {
    if (!this.plane || this.current) return;
    const job = this.queue.shift();
    if (!job) return;
    this.current = job;
    try {
      sendFds(this.plane.control, job.fds, encodeMessage({ ...job.order, seq: ++this.seq }));
    } catch (error) {
      // It has died; that is about to be noticed, and the next one is told.
      if (hasCode(error, "EPIPE", "ECONNRESET")) return;
      this.finish(job, error as Error);
    }
  }

  private finish(job: Job, error?: Error): void {
    this.current = undefined;
    job.done(error);
    this.pump();
  }

  private ended(how: string): void {
    this.plane = undefined;
    const error = new UserError(`the data plane ended: ${how}`, { exitCode: 1 });
    const open = this.current ? [this.current, ...this.queue] : this.queue;
    const blamed = this.blame(this.current, error);
    this.current = undefined;
    this.queue = [];
    for (const job of open) {
      // What was to be taken back is not told to the next one.
      if (job.order.op === "remove") job.done();
      else if (!job.again && this.entries.get(job.order.key)?.job !== job) job.done(error);
    }
    for (const entry of inOrder(this.entries.values()))
      if (entry !== blamed) this.queue.push(entry.job ?? this.retelling(entry));
    if (this.stopping) return;
    log.warn(`${error.message}; starting it again`);
    this.restart(error);
  }

  /** Data planes may die of an order; the others' network does not have to. Gives the order that is not told any more. */
  private blame(job: Job | undefined, error: Error): Entry | undefined {
    const key = job && job.order.op !== "remove" ? job.order.key : "";
    this.suspect = { key, deaths: key === this.suspect.key ? this.suspect.deaths + 1 : 1 };
    const entry = this.entries.get(key);
    if (!entry || this.suspect.deaths < MAX_DEATHS) return undefined;
    if (entry.job) entry.job.done(error);
    else this.lose(key, error);
    return entry;
  }

  /** What was in force is so no more. */
  private lose(key: string, error: Error): void {
    log.warn(`${key} does not come back: ${error.message}`);
    this.options.gone?.(key);
  }

  /** An order that was carried out before; when it can't be any more, its device has gone meanwhile. */
  private retelling(entry: Entry): Job {
    const { order, fds } = entry;
    const done = (error?: Error) => {
      if (error && this.entries.get(order.key) === entry) this.lose(order.key, error);
    };
    return { order, fds, again: true, done };
  }

  private restart(cause: Error): void {
    if (++this.failures > MAX_FAILURES) {
      for (const job of this.queue.splice(0)) if (!job.again) job.done(cause);
      this.options.gaveUp(cause);
      return;
    }
    const begin = () => {
      if (!this.stopping) this.start();
    };
    if (performance.now() - this.startedAt > SHORT_LIFE) begin();
    else this.surroundings.later(PAUSE, begin);
  }

  /**
   * Gives an order that outlives the data plane; resolves once it is carried out. `fds` belong to the supervisor from now
   * on. An order that the data plane refuses is forgotten.
   */
  keep(order: KeyedOrder, fds: readonly number[]): Promise<void> {
    if (this.entries.has(order.key)) throw new BugError(`order ${order.key} was given twice`);
    const entry: Entry = { order, fds };
    this.entries.set(order.key, entry);
    return new Promise((resolve, reject) => {
      const done = (error?: Error) => {
        entry.job = undefined;
        if (!error) return resolve();
        if (this.entries.get(order.key) === entry) {
          this.entries.delete(order.key);
          closeAll(fds);
        }
        reject(error);
      };
      entry.job = { order, fds, done };
      this.enqueue(entry.job);
    });
  }

  /** Takes an order back and closes its descriptors; resolves once the data plane has closed its own. */
  remove(key: string): Promise<void> {
    const entry = this.entries.get(key);
    if (!entry) throw new BugError(`order ${key} was never given`);
    this.entries.delete(key);
    return new Promise(resolve => {
      // Not before the order itself is on its way with them.
      const done = () => {
        closeAll(entry.fds);
        resolve();
      };
      this.enqueue({ order: { op: "remove", key }, fds: [], done });
    });
  }

  private enqueue(job: Job): void {
    this.queue.push(job);
    this.pump();
  }

  /** Ends the data plane for good. */
  stop(): void {
    this.stopping = true;
    this.plane?.close();
    this.plane = undefined;
  }
}

/** As they were given, but resolvers last: one that does not know all names yet would say that they are not there. */
function inOrder(entries: Iterable<Entry>): Entry[] {
  const isResolver = ({ order }: Entry) => Number(order.op === "resolver");
  return [...entries].sort((a, b) => isResolver(a) - isResolver(b));
}

function closeAll(fds: readonly number[]): void {
  for (const fd of fds) closeFd(fd);
}
