/** One connection to the network service: requests go out with their descriptors, answers come by the event loop. */
import { hasCode, UserError } from "../base/errors.ts";
import { sendFds } from "../sys/scm-rights.ts";
import type { KeyedOrder } from "./control.ts";
import type { ServiceAnswer, ServiceRequest } from "./service-message.ts";

/** Milliseconds in which the service answers; it is stuck, or stopped, if it does not. */
const PATIENCE = 20_000;

/** The connection ended before there was an answer. */
export class Lost extends Error {}

interface Pending {
  orders: KeyedOrder[];
  resolve(orders: KeyedOrder[]): void;
  reject(error: Error): void;
}

export class ServiceConnection {
  private readonly pending = new Map<number, Pending>();
  private readonly socket: Promise<Bun.Socket<undefined>>;
  private seq = 0;
  private failure: Error | undefined;

  /** Takes over `fd`. */
  constructor(private readonly fd: number) {
    const socket: Bun.SocketHandler<undefined> = {
      data: (_, data) => this.heard(data),
      end: () => this.fail(new Lost()),
      close: () => this.fail(new Lost()),
      error: () => this.fail(new Lost()),
    };
    // The types know no descriptor here; one packet is one call.
    this.socket = Bun.connect({ fd, socket } as unknown as Bun.UnixSocketOptions<undefined>);
    this.socket.catch(() => this.fail(new Lost()));
  }

  /** True once no more answers will come. */
  get over(): boolean {
    return this.failure !== undefined;
  }

  /** The answer to a request. Throws `Lost`, or a UserError with the service's own reason. */
  async ask(request: ServiceRequest, fds: readonly number[] = []): Promise<KeyedOrder[]> {
    await this.socket.catch(() => {});
    if (this.failure) throw this.failure;
    const seq = ++this.seq;
    const { promise, resolve, reject } = Promise.withResolvers<KeyedOrder[]>();
    this.pending.set(seq, { orders: [], resolve, reject });
    const timer = setTimeout(() => {
      this.fail(new UserError(`the network service does not answer within ${PATIENCE / 1000} s`));
    }, PATIENCE);
    try {
      sendFds(this.fd, fds, new TextEncoder().encode(JSON.stringify({ ...request, seq })));
    } catch (error) {
      // The other side's last words, or its end, are about to be read.
      if (!hasCode(error, "EPIPE", "ECONNRESET")) reject(error);
    }
    return promise.finally(() => clearTimeout(timer));
  }

  private heard(data: Uint8Array): void {
    const { seq, error, orders, more } = JSON.parse(new TextDecoder().decode(data)) as ServiceAnswer;
    if (seq === 0) this.fail(new UserError(error!));
    const waiting = this.pending.get(seq);
    if (!waiting) return;
    waiting.orders.push(...(orders ?? []));
    if (more) return;
    this.pending.delete(seq);
    if (error === undefined) waiting.resolve(waiting.orders);
    else waiting.reject(new UserError(error));
  }

  /** The connection is of no more use; the first reason is the one that counts. */
  private fail(error: Error): void {
    this.failure ??= error;
    for (const { reject } of this.pending.values()) reject(this.failure);
    this.pending.clear();
  }

  close(): void {
    this.failure ??= new Lost();
    this.socket.then(
      socket => socket.terminate(),
      () => {},
    );
  }
}
