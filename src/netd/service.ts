/**
 * The network service of one user: takes orders from commands, keeps a data plane that carries them out, and ends when
 * there is nothing left to keep. What a client says, whole or broken, is answered or costs it its connection, no more.
 */
import { errorText, hasCode } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { Timer } from "../stack/timers.ts";
import { EPOLL } from "../sys/epoll.ts";
import { ERRNO } from "../sys/errno.ts";
import { closeFd } from "../sys/fd.ts";
import { acceptSocket, SocketAddress } from "../sys/inet.ts";
import { peerCredentials } from "../sys/peer.ts";
import { receiveFds } from "../sys/scm-rights.ts";
import { MSG, send } from "../sys/socket.ts";
import { MAX_DESCRIPTORS, MAX_MESSAGE } from "./control.ts";
import type { Loop } from "./loop.ts";
import type { Given } from "./orders.ts";
import { checkDescriptors } from "./service-descriptors.ts";
import {
  ORDERS_PER_PACKET,
  parseServiceRequest,
  type ServiceAnswer,
  type ServiceRequest,
} from "./service-message.ts";
import { type Plane, type PlaneEvents, Supervisor, type Surroundings } from "./supervisor.ts";
import { thrift } from "./thrift.ts";

/**
 * Milliseconds that it stays without orders and clients: a script's next `run --rm` finds it, where a start would cost
 * some 30 ms, and nobody wonders what still runs.
 */
const LINGER = 2000;
/** Milliseconds for a peer that is refused to read why. */
const PARTING = 1000;
/** Connections at a time. */
const MAX_CLIENTS = 256;
/** Without a free descriptor nobody is accepted for so many milliseconds; clients wait in the socket's queue. */
const BACK_OFF = 100;

/** What a service takes over. */
export interface Legacy {
  orders: readonly Given[];
  /** Taps whose device has gone. */
  gone: readonly string[];
  follow(events: PlaneEvents): Plane;
}

const nobody = new SocketAddress();

interface Client {
  fd: number;
  /** False once its connection is closed, and the descriptor perhaps another's. */
  open: boolean;
}

export class Service {
  private readonly supervisor: Supervisor;
  private readonly clients = new Set<Client>();
  private readonly idle = new Timer(() => this.end());
  /** Requests are carried out one after the other, whoever sends them. */
  private turn: Promise<void> = Promise.resolve();
  private readonly saveMemory: () => void;

  /** `listening`: non-blocking; it stays the caller's. `legacy`: of a service before this one. */
  constructor(
    private readonly loop: Loop,
    private readonly listening: number,
    planes: Surroundings,
    legacy?: Legacy,
  ) {
    this.supervisor = new Supervisor(planes, {
      gaveUp: error => {
        log.error(`${errorText(error)}; the network service ends`);
        this.end();
      },
      gone: key => this.gone(key),
    });
    this.saveMemory = thrift(loop);
    loop.watch(listening, EPOLL.IN, () => this.accept());
    if (legacy) {
      this.supervisor.takeOver(legacy.follow, legacy.orders);
      for (const key of legacy.gone) this.gone(key);
    } else this.supervisor.start();
    this.rest();
  }

  /** Ends the data plane, and `Loop.serve` with it. */
  end(): void {
    this.supervisor.stop();
    this.loop.stop();
  }

  private gone(key: string): void {
    this.inTurn(() => this.remove(key));
  }

  private accept(): void {
    for (;;) {
      const fd = acceptSocket(this.listening, nobody);
      if (fd === -ERRNO.EMFILE || fd === -ERRNO.ENFILE) this.backOff();
      if (fd < 0) return;
      const { uid } = peerCredentials(fd);
      if (uid !== process.getuid!()) this.refuse(fd, `this network service is not that of user ${uid}`);
      else if (this.clients.size >= MAX_CLIENTS)
        this.refuse(fd, `the network service has ${MAX_CLIENTS} clients already`);
      else this.admit(fd);
    }
  }

  private backOff(): void {
    this.loop.change(this.listening, 0);
    this.loop.later(BACK_OFF, () => this.loop.change(this.listening, EPOLL.IN));
  }

  /** Tells a peer to whom nobody listens any more. What is unread when a socket is closed costs the peer our words too. */
  private refuse(fd: number, error: string): void {
    answer(fd, { seq: 0, error });
    this.loop.later(PARTING, () => closeFd(fd));
  }

  private admit(fd: number): void {
    const client = { fd, open: true };
    this.clients.add(client);
    this.loop.timers.cancel(this.idle);
    this.loop.watch(fd, EPOLL.IN, () => this.hear(client));
  }

  private drop(client: Client): void {
    if (this.forget(client)) closeFd(client.fd);
  }

  private dismiss(client: Client, error: string): void {
    if (this.forget(client)) this.refuse(client.fd, error);
  }

  private forget(client: Client): boolean {
    if (!client.open) return false;
    client.open = false;
    this.clients.delete(client);
    this.loop.unwatch(client.fd);
    this.rest();
    return true;
  }

  private hear(client: Client): void {
    try {
      const { data, fds } = receiveFds(client.fd, MAX_DESCRIPTORS, MAX_MESSAGE);
      if (data.length === 0) this.drop(client);
      else this.take(client, data, fds);
    } catch (error) {
      // It has closed with answers unread; or its descriptors can't be had.
      if (hasCode(error, "ECONNRESET")) this.drop(client);
      else this.dismiss(client, errorText(error));
    }
  }

  /** Carries out one request; what can't be read costs the connection, since nobody knows what else it meant. */
  private take(client: Client, data: Uint8Array, fds: readonly number[]): void {
    let seq: number;
    let request: ServiceRequest;
    try {
      ({ seq, request } = parseServiceRequest(data));
      checkDescriptors(request, fds);
    } catch (error) {
      for (const fd of fds) closeFd(fd);
      this.dismiss(client, `bad request: ${errorText(error)}`);
      return;
    }
    this.inTurn(async () => {
      const outcome = await this.carryOut(request, fds).then(
        () => ({ seq }),
        error => ({ seq, error: errorText(error) }),
      );
      const answers = request.op === "list" ? this.list(seq) : [outcome];
      for (const one of answers) if (client.open && !answer(client.fd, one)) this.drop(client);
    });
  }

  private inTurn(work: () => Promise<void>): void {
    this.turn = this.turn.then(work).catch(error => log.error(`network service: ${errorText(error)}`));
    this.turn.then(() => this.rest());
  }

  private async carryOut(request: ServiceRequest, fds: readonly number[]): Promise<void> {
    switch (request.op) {
      case "tap":
      case "ports":
      case "transparent":
      case "resolver":
      case "name":
        if (this.supervisor.has(request.key)) await this.remove(request.key);
        await this.supervisor.keep(request, fds);
        break;
      case "remove": {
        const networks = this.supervisor
          .orders()
          .flatMap(order => (order.op === "name" && order.key === request.key ? order.settings.network : []));
        await this.remove(request.key);
        for (const network of networks) await this.endResolver(network);
      }
    }
  }

  /** A resolver goes with the last name that it tells. */
  private async endResolver(network: string): Promise<void> {
    const orders = this.supervisor.orders();
    if (orders.some(one => one.op === "name" && one.settings.network === network)) return;
    for (const one of orders)
      if (one.op === "resolver" && one.settings.network === network) await this.supervisor.remove(one.key);
  }

  /** Takes back an order and those that hang on it. */
  private async remove(key: string): Promise<void> {
    const orders = this.supervisor
      .orders()
      .filter(order => order.key === key || ("tap" in order && order.tap === key));
    await Promise.all(orders.reverse().map(order => this.supervisor.remove(order.key)));
  }

  private list(seq: number): ServiceAnswer[] {
    const orders = this.supervisor.orders();
    const answers: ServiceAnswer[] = [];
    for (let at = 0; at === 0 || at < orders.length; at += ORDERS_PER_PACKET) {
      const more = at + ORDERS_PER_PACKET < orders.length;
      answers.push({
        seq,
        orders: orders.slice(at, at + ORDERS_PER_PACKET),
        ...(more ? { more: true as const } : {}),
      });
    }
    return answers;
  }

  /** Starts the last wait where there is nothing to do any more. */
  private rest(): void {
    this.saveMemory();
    if (this.clients.size === 0 && this.supervisor.size === 0)
      this.loop.timers.set(this.idle, performance.now() + LINGER);
    else this.loop.timers.cancel(this.idle);
  }
}

/** False when nobody listens. */
function answer(fd: number, message: ServiceAnswer): boolean {
  try {
    send(fd, new TextEncoder().encode(JSON.stringify(message)), MSG.DONTWAIT);
    return true;
  } catch {
    return false;
  }
}
