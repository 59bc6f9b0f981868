/**
 * Keeps a data plane alive. The supervisor holds what must not be lost, the taps and the sockets that listen, and the
 * orders that belong to them; the data plane is a child that is told all of it when it starts. When the child dies, of
 * whatever, the next one is told the same: interfaces stay, callers wait in the sockets' queues, and connections that
 * nobody knows any more are reset.
 *
 * The child dies with its supervisor (it asks the kernel for that, and reads the end of the control socket).
 */
import { BugError, errorText, UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { closeFd } from "../sys/fd.ts";
import { sendFds } from "../sys/scm-rights.ts";
import { socketPair } from "../sys/socket-pair.ts";
import { type Answer, decodeMessage, encodeMessage, type Notice, type Order, SECCOMP } from "./control.ts";
import { SELF } from "./sandbox.ts";

/** Starts in a row that end before all orders are carried out; then it is given up. */
const MAX_FAILURES = 5;
/** Milliseconds before a start that follows a failed one. */
const PAUSE = 100;

interface Entry {
  order: Order & { key: string };
  fds: readonly number[];
}

interface Pending {
  resolve(): void;
  reject(error: Error): void;
}

interface Child {
  process: Bun.Subprocess;
  control: number;
  socket: Bun.Socket<undefined>;
  pending: Map<number, Pending>;
}

export interface SupervisorOptions {
  /** What starts this program; where nothing is said, the program that runs. */
  command?: readonly string[];
  /** The data plane makes no system calls but those of its trade. */
  seccomp?: boolean;
  /** Called when a tap's device is no more; its order stays until it is removed. */
  gone?: (key: string) => void;
}

export class Supervisor {
  private readonly entries = new Map<string, Entry>();
  private child: Child | undefined;
  private seq = 0;
  private failures = 0;
  private stopping = false;

  /** `gaveUp` is called once at most, when the data plane can't be kept alive. */
  constructor(
    private readonly gaveUp: (error: Error) => void,
    private readonly options: SupervisorOptions = {},
  ) {}

  /** The data plane's pid; 0 while there is none. */
  get pid(): number {
    return this.child?.process.pid ?? 0;
  }

  /** Starts the data plane and waits until it has carried out every order given so far. */
  async start(): Promise<void> {
    const child = await this.spawn();
    this.child = child;
    // One after the other: the kernel limits how many descriptors are on their way at a time (unix(7), ETOOMANYREFS).
    // What one order meets is no reason to leave out the others.
    const refused: unknown[] = [];
    for (const entry of inOrder(this.entries.values())) {
      if (this.entries.get(entry.order.key) !== entry) continue;
      try {
        await send(child, ++this.seq, entry.order, entry.fds);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        refused.push(error);
      }
    }
    if (refused.length > 0) throw refused[0];
    this.failures = 0;
  }

  private async spawn(): Promise<Child> {
    const [control, theirs] = socketPair();
    const pending = new Map<number, Pending>();
    try {
      const socket = await Bun.connect<undefined>(adopted(control, data => this.heard(pending, data)));
      const process = Bun.spawn(
        [...(this.options.command ?? [SELF]), "__netd", ...(this.options.seccomp ? [SECCOMP] : [])],
        {
          argv0: "netd",
          stdio: ["inherit", "inherit", "inherit", theirs],
          env: {},
          onExit: (_, code, signal) => this.ended(signal === null ? `exit code ${code}` : `signal ${signal}`),
        },
      );
      return { process, control, socket, pending };
    } finally {
      closeFd(theirs);
    }
  }

  private heard(pending: Map<number, Pending>, data: Uint8Array): void {
    const message = decodeMessage<Answer | Notice>(data);
    if ("gone" in message) {
      this.options.gone?.(message.gone);
      return;
    }
    const { seq, error } = message;
    const waiting = pending.get(seq);
    pending.delete(seq);
    if (error === undefined) waiting?.resolve();
    else waiting?.reject(new Refused(error, { exitCode: 1 }));
  }

  private ended(how: string): void {
    const { child } = this;
    this.child = undefined;
    child?.socket.terminate();
    const error = new UserError(`the data plane ended: ${how}`, { exitCode: 1 });
    for (const waiting of child?.pending.values() ?? []) waiting.reject(error);
    if (this.stopping) return;
    log.warn(`${error.message}; starting it again`);
    this.restart(error);
  }

  private restart(cause: Error): void {
    if (++this.failures > MAX_FAILURES) {
      this.gaveUp(cause);
      return;
    }
    const begin = () => {
      if (this.stopping) return;
      this.start().catch(error => log.warn(`the data plane did not start: ${errorText(error)}`));
    };
    if (this.failures === 1) begin();
    else setTimeout(begin, PAUSE);
  }

  /**
   * Gives an order that outlives the data plane; `fds` belong to the supervisor from now on. An order that the data plane
   * refuses is forgotten.
   */
  async keep(order: Order & { key: string }, fds: readonly number[]): Promise<void> {
    if (this.entries.has(order.key)) throw new BugError(`order ${order.key} was given twice`);
    this.entries.set(order.key, { order, fds });
    if (!this.child) return;
    try {
      await send(this.child, ++this.seq, order, fds);
    } catch (error) {
      // An order whose data plane died under it is kept: the next one is told.
      if (!(error instanceof Refused)) return;
      this.forget(order.key);
      throw error;
    }
  }

  /** Takes an order back and closes its descriptors. */
  async remove(key: string): Promise<void> {
    if (!this.entries.has(key)) throw new BugError(`order ${key} was never given`);
    this.forget(key);
    if (this.child) await send(this.child, ++this.seq, { op: "remove", key }, []).catch(() => {});
  }

  private forget(key: string): void {
    for (const fd of this.entries.get(key)?.fds ?? []) closeFd(fd);
    this.entries.delete(key);
  }

  /** Ends the data plane for good. */
  stop(): void {
    this.stopping = true;
    this.child?.process.kill("SIGKILL");
  }
}

/** As they were given, but resolvers last: one that does not know all names yet would say that they are not there. */
function inOrder(entries: Iterable<Entry>): Entry[] {
  const isResolver = ({ order }: Entry) => Number(order.op === "resolver");
  return [...entries].sort((a, b) => isResolver(a) - isResolver(b));
}

/** The data plane's own reason. */
class Refused extends UserError {}

function send(child: Child, seq: number, order: Order, fds: readonly number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    child.pending.set(seq, { resolve, reject });
    try {
      sendFds(child.control, fds, encodeMessage({ ...order, seq }));
    } catch (error) {
      child.pending.delete(seq);
      reject(error);
    }
  });
}

/** What gives a descriptor of ours to the event loop; one packet is one call. */
function adopted(fd: number, data: (packet: Uint8Array) => void): Bun.UnixSocketOptions<undefined> {
  const options = { fd, socket: { data: (_: unknown, packet: Uint8Array) => data(packet) } };
  return options as unknown as Bun.UnixSocketOptions<undefined>;
}
