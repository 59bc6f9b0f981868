/**
 * The data plane as a supervisor's child: takes orders at descriptor 3. With a run directory on its command line it is a
 * network service's and outlives it: it has the service's listening socket, and starts the next one.
 */
import { errorText, hasCode, UserError } from "../base/errors.ts";
import { selfCommand } from "../base/self.ts";
import { EPOLL } from "../sys/epoll.ts";
import { closeFd } from "../sys/fd.ts";
import { ignoreSignals, SIGNALS, setParentDeathSignal, setProcessName } from "../sys/process.ts";
import { type ReceivedFds, receiveFds, sendFds } from "../sys/scm-rights.ts";
import { restrictCalls } from "../sys/seccomp.ts";
import { AF } from "../sys/socket.ts";
import {
  type Answer,
  decodeMessage,
  encodeMessage,
  MAX_DESCRIPTORS,
  MAX_MESSAGE,
  type Notice,
  type Request,
  SECCOMP,
} from "./control.ts";
import { DataPlane } from "./data-plane.ts";
import { type Given, Orders } from "./orders.ts";
import { SELF } from "./sandbox.ts";
import { Succession } from "./succession.ts";

/** Where it finds its descriptors; the second and third with a run directory only. */
const CONTROL = 3;
const LISTENING = 4;
const WATCH = 5;

/** Serves until the supervisor is gone, or nothing is left to serve for a service that is; gives the exit code. */
export function dataPlaneMain(argv: readonly string[]): number {
  const confined = argv.includes(SECCOMP);
  const runRoot = argv.find(word => word !== SECCOMP);
  setProcessName("netd");
  if (runRoot === undefined) setParentDeathSignal(SIGNALS.KILL!);
  // Signals of a terminal go to the whole group; when to end is the supervisor's to say.
  ignoreSignals([SIGNALS.INT!, SIGNALS.TERM!, SIGNALS.HUP!]);
  using plane = new DataPlane();
  if (confined) restrictCalls({ programs: runRoot !== undefined, families: [AF.INET, AF.INET6] });
  const child = new Child(plane, runRoot === undefined ? undefined : { runRoot, confined });
  child.follow(CONTROL);
  plane.run();
  return 0;
}

class Child {
  private readonly orders: Orders;
  private readonly succession: Succession | undefined;
  private readonly saveMemory: () => void;
  private control = -1;
  /** What is still to be handed over; absent unless that has begun. */
  private legacy: Given[] | undefined;

  constructor(
    private readonly plane: DataPlane,
    service: { runRoot: string; confined: boolean } | undefined,
  ) {
    this.saveMemory = plane.thrift();
    this.orders = new Orders(plane, gone => this.say({ gone }));
    if (!service) return;
    const { runRoot, confined } = service;
    this.succession = new Succession({
      plane,
      command: [...(confined ? [SELF] : selfCommand()), "__netd-service", runRoot],
      descriptors: { listening: LISTENING, watch: WATCH },
      confined,
      follow: control => this.follow(control),
    });
  }

  /** Takes orders at `control` until that ends. */
  follow(control: number): void {
    this.control = control;
    this.plane.watch(control, EPOLL.IN, () => {
      const packet = receive(control);
      if (packet.data.length > 0) return this.take(packet);
      this.plane.unwatch(control);
      closeFd(control);
      this.control = -1;
      this.legacy = undefined;
      if (this.succession && this.orders.inForce().length > 0) this.succession.begin();
      else this.plane.stop();
    });
  }

  private take({ data, fds }: ReceivedFds): void {
    const request = decodeMessage<Request>(data);
    if (request.op === "handover") this.handOver(request.seq);
    else this.say(this.obey(request, fds));
    this.saveMemory();
  }

  /** An order that can't be carried out is answered with the reason; its descriptors are closed. */
  private obey({ seq, ...order }: Exclude<Request, { op: "handover" }>, fds: readonly number[]): Answer {
    try {
      this.orders.obey(order, fds);
      return { seq };
    } catch (error) {
      const hint = error instanceof UserError && error.hint ? ` (${error.hint})` : "";
      return { seq, error: `${errorText(error)}${hint}` };
    }
  }

  /** Tells of the next order that is still in force. */
  private handOver(seq: number): void {
    this.legacy ??= this.orders.inForce();
    const inForce = new Set(this.orders.inForce());
    const next = this.legacy.find(one => inForce.has(one));
    if (next) this.legacy.splice(0, this.legacy.indexOf(next) + 1);
    else {
      this.legacy = undefined;
      this.succession?.done();
    }
    this.say(next ? { seq, order: next.order } : { seq }, next?.fds);
  }

  /** Quiet when nobody listens: the end of the control socket is about to be noticed. */
  private say(message: Answer | Notice, fds: readonly number[] = []): void {
    if (this.control < 0) return;
    try {
      sendFds(this.control, fds, encodeMessage(message));
    } catch (error) {
      if (!hasCode(error, "EPIPE", "ECONNRESET")) throw error;
    }
  }
}

/** One packet; an empty one at the end, however it came. */
function receive(control: number): ReceivedFds {
  try {
    return receiveFds(control, MAX_DESCRIPTORS, MAX_MESSAGE);
  } catch (error) {
    if (hasCode(error, "ECONNRESET")) return { data: new Uint8Array(), fds: [] };
    throw error;
  }
}
