/**
 * When the network service dies, its data plane starts the next one, and hands over what that must hold: the orders in force
 * with their descriptors. Guests, callers and published ports notice nothing; commands wait in the listening socket's queue.
 */
import { errorText } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { closeFd } from "../sys/fd.ts";
import { waitFor } from "../sys/process.ts";
import { receiveFds } from "../sys/scm-rights.ts";
import { send } from "../sys/socket.ts";
import { socketPair } from "../sys/socket-pair.ts";
import {
  type Answer,
  decodeMessage,
  encodeMessage,
  MAX_DESCRIPTORS,
  MAX_MESSAGE,
  type Notice,
} from "./control.ts";
import type { DataPlane } from "./data-plane.ts";
import type { Given } from "./orders.ts";
import { serviceEnvironment } from "./service-stage.ts";

/** Services in a row that end before they have taken over; then the data plane ends too. */
const MAX_FAILURES = 5;
/** Milliseconds before a start that follows a failed one. */
const PAUSE = 100;

export interface SuccessionOptions {
  plane: DataPlane;
  /** What starts the service. */
  command: readonly string[];
  /** The data plane's own, for the service to inherit. */
  descriptors: { listening: number; watch: number };
  confined: boolean;
  /** Listens to the service at `control` from now on. */
  follow(control: number): void;
}

export class Succession {
  private successor: Bun.Subprocess | undefined;
  private failures = 0;

  constructor(private readonly options: SuccessionOptions) {}

  /** Starts the next service. */
  begin(): void {
    const { plane } = this.options;
    if (this.successor) waitFor(this.successor.pid);
    this.successor = undefined;
    if (++this.failures > MAX_FAILURES) {
      log.error("the network service can't be kept alive; the data plane ends");
      plane.stop();
      return;
    }
    log.warn("the network service ended; starting it again");
    if (this.failures === 1) this.start();
    else plane.later(PAUSE, () => this.start());
  }

  private start(): void {
    const { command, descriptors, confined, follow } = this.options;
    const [control, theirs] = socketPair();
    try {
      this.successor = Bun.spawn([...command], {
        argv0: "netd-service",
        stdio: ["inherit", "inherit", "inherit", descriptors.listening, descriptors.watch, theirs],
        env: serviceEnvironment({ name: "successor", plane: process.pid, confined }),
        detached: true,
      });
      follow(control);
    } catch (error) {
      closeFd(control);
      log.error(`the network service does not start: ${errorText(error)}`);
      this.begin();
    } finally {
      closeFd(theirs);
    }
  }

  /** The successor has all orders. */
  done(): void {
    this.failures = 0;
  }
}

/** What a new service takes over at `control`, and the taps that have gone meanwhile. */
export function takeOver(control: number): { orders: Given[]; gone: string[] } {
  const orders: Given[] = [];
  const gone: string[] = [];
  for (let seq = 1; ; seq++) {
    send(control, encodeMessage({ op: "handover", seq }));
    let answer: Answer | undefined;
    while (!answer) {
      const { data, fds } = receiveFds(control, MAX_DESCRIPTORS, MAX_MESSAGE);
      if (data.length === 0) throw new Error("the data plane ended before all was handed over");
      const message = decodeMessage<Answer | Notice>(data);
      if ("gone" in message) gone.push(message.gone);
      else if (!message.order) return { orders, gone };
      else {
        answer = message;
        orders.push({ order: message.order, fds });
      }
    }
  }
}
