/** A command's side of its network helper (`helper.ts`): starts it, asks it, ends it. */
import { UserError } from "../base/errors.ts";
import { BRIEFLY, selfCommand } from "../base/self.ts";
import { closeFd } from "../sys/fd.ts";
import { heldLocks } from "../sys/flock.ts";
import { receiveFds, sendFds } from "../sys/scm-rights.ts";
import { socketPair } from "../sys/socket-pair.ts";
import {
  decode,
  encode,
  errorOf,
  type HelperAnswer,
  type HelperAnswers,
  type HelperRequest,
  MAX_LOCKS,
} from "./helper-protocol.ts";

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** Milliseconds after which a helper that has nothing to do ends: a `run` in the foreground may last for days. */
export const IDLE = 500;

/** A helper that was started before anybody asked for it. */
let ahead: NetworkHelper | undefined;

export class NetworkHelper implements Disposable {
  private readonly waiting = new Map<number, Waiting>();
  private seq = 0;
  private ended: Error | undefined;

  private constructor(
    private readonly requests: number,
    private readonly descriptors: number,
    private readonly connection: Promise<Bun.Socket<undefined>>,
    readonly pid: number,
  ) {}

  /** Starts one for whoever is the first to want it, while the rest of the command is loaded. Unwanted, it soon ends. */
  static startAhead(): void {
    const helper = NetworkHelper.start();
    ahead = helper;
    setTimeout(() => {
      if (ahead !== helper) return;
      ahead = undefined;
      helper.close();
    }, IDLE).unref();
  }

  /** The one that was started ahead, or another. */
  static obtain(): NetworkHelper {
    const there = ahead;
    ahead = undefined;
    return there && !there.hasEnded ? there : NetworkHelper.start();
  }

  /** Starts the process; returns before it serves. */
  private static start(): NetworkHelper {
    const [requests, theirRequests] = socketPair();
    const [descriptors, theirDescriptors] = socketPair();
    let helper: NetworkHelper | undefined;
    try {
      const child = Bun.spawn([...selfCommand(), "__network"], {
        // As HELPER_FD has them. Bun sets a terminal that it finds at 0, 1 or 2 back, when it ends, to what it was at its
        // start; by then the command may have made it raw.
        stdio: ["ignore", "ignore", "ignore", theirRequests, theirDescriptors, 2],
        env: { ...process.env, ...BRIEFLY },
      });
      child.unref();
      const connection = Bun.connect<undefined>(
        adopted(requests, {
          data: (_, packet) => helper?.heard(packet),
          close: () => helper?.end(),
        }),
      );
      helper = new NetworkHelper(requests, descriptors, connection, child.pid);
      connection.catch(() => helper?.end());
      return helper;
    } catch (error) {
      closeFd(requests);
      closeFd(descriptors);
      throw error;
    } finally {
      closeFd(theirRequests);
      closeFd(theirDescriptors);
    }
  }

  /** Requests are carried out one after the other, in the order in which they were made. */
  async ask<R extends HelperRequest>(request: R): Promise<HelperAnswers[R["do"]]> {
    if (this.ended) throw this.ended;
    const seq = ++this.seq;
    return new Promise((resolve, reject) => {
      this.waiting.set(seq, { resolve: resolve as (value: unknown) => void, reject });
      try {
        // Should this process be killed, nobody clears up after it before the helper is through.
        sendFds(this.requests, heldLocks().slice(-MAX_LOCKS), encode({ ...request, seq }));
      } catch (error) {
        this.waiting.delete(seq);
        reject(error);
      }
    });
  }

  /** The same for what is answered with descriptors; the caller closes them. */
  async askForDescriptors(
    request: Extract<HelperRequest, { do: "openTap" | "openTransparent" | "bindResolver" | "view" }>,
  ): Promise<number[]> {
    const count = await this.ask(request);
    // Answers come in order, and so do the descriptors, each lot as one message.
    return receiveFds(this.descriptors, count).fds;
  }

  /** The process is gone, or was told to go. */
  get hasEnded(): boolean {
    return this.ended !== undefined;
  }

  private heard(packet: Uint8Array): void {
    const answer = decode<HelperAnswer>(packet);
    const waiting = this.waiting.get(answer.seq);
    this.waiting.delete(answer.seq);
    if ("error" in answer) waiting?.reject(errorOf(answer.error));
    else waiting?.resolve(answer.value);
  }

  private end(): void {
    this.ended ??= new UserError("the network helper ended before its work was done");
    for (const { reject } of this.waiting.values()) reject(this.ended);
    this.waiting.clear();
  }

  /** Ends the process once it has done what it was asked so far. */
  close(): void {
    if (this.ended) return;
    this.ended = new UserError("the network helper was ended");
    closeFd(this.descriptors);
    this.connection.then(
      socket => socket.terminate(),
      () => {},
    );
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** What gives a descriptor of ours to the event loop; one packet is one call. */
function adopted(
  fd: number,
  socket: Pick<Bun.SocketHandler<undefined>, "data" | "close">,
): Bun.UnixSocketOptions<undefined> {
  return { fd, socket } as unknown as Bun.UnixSocketOptions<undefined>;
}
