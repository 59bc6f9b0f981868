/** One lease: the client's frames in and out of the container's namespace, its timer, its end. */
import { errorText } from "../../base/errors.ts";
import { log } from "../../base/log.ts";
import type { Loop } from "../../netd/loop.ts";
import { linkByName, setLink } from "../../netlink/link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { Timer } from "../../stack/timers.ts";
import { EPOLL } from "../../sys/epoll.ts";
import { ERRNO, errnoName } from "../../sys/errno.ts";
import { closeSocket, receivePart } from "../../sys/inet.ts";
import { bytes } from "../../sys/mem.ts";
import * as netns from "../../sys/netns.ts";
import { openDhcpSocket, sendFrame } from "../../sys/packet-socket.ts";
import { parseMac } from "../../wire/addr.ts";
import { DHCP_OPTION } from "../../wire/dhcp.ts";
import { DhcpClient, type Lease, type Timing } from "./client.ts";
import { type Holder, identityOf, type Records } from "./record.ts";

export interface KeeperOptions {
  loop: Loop;
  records: Records;
  timing: Timing;
  broadcast: boolean;
}

/** Told once a lease is there, or with the reason why none is. */
export type Acquired = (lease: Lease | undefined, why: string) => void;

const FRAMES_AT_ONCE = 32;
const received = bytes(2048);
/** Unix time at the zero of the loop's clock. */
const zero = () => Date.now() - performance.now();

export class Keeper {
  /** Why there is no lease any more; undefined while there is one, or one is awaited. */
  over: string | undefined;
  private readonly client: DhcpClient;
  private readonly timer = new Timer(now => this.guarded(() => this.client.tick(now)));
  private fd = -1;
  private waiting: Acquired[] = [];

  private constructor(
    private readonly options: KeeperOptions,
    readonly holder: Holder,
    private readonly mac: Uint8Array,
  ) {
    const { timing, broadcast } = options;
    const { provide, request } = holder.wanted;
    const settings = { mac, clientId: clientIdOf(holder), provide, request, broadcast, timing };
    this.client = new DhcpClient(
      settings,
      {
        send: frame => this.send(frame),
        bound: lease => this.bound(lease),
        failed: why => this.end(why),
        lost: why => this.lost(why),
      },
      Math.random,
    );
  }

  /** Asks for a lease. Throws where the interface is not there. */
  static acquire(options: KeeperOptions, holder: Holder, acquired: Acquired): Keeper {
    const mac = macOf(holder);
    const keeper = new Keeper(options, holder, mac);
    keeper.waiting.push(acquired);
    log.info(`${holder.name}: acquiring lease`);
    keeper.guarded(() => keeper.client.start(performance.now()));
    return keeper;
  }

  /** Goes on with a lease that another daemon kept. */
  static resume(options: KeeperOptions, saved: ReturnType<Records["readAll"]>[number]): Keeper {
    const keeper = new Keeper(options, saved.holder, saved.mac);
    const lease = { ...saved.lease };
    log.info(`${saved.holder.name}: lease of ${lease.address} found, going on with it`);
    keeper.guarded(() => keeper.client.resume(lease, performance.now()));
    return keeper;
  }

  get lease(): Lease | undefined {
    return this.client.lease;
  }

  /** Calls back when there is a lease, at once if there is. */
  whenAcquired(acquired: Acquired): void {
    const { lease } = this;
    if (lease || this.over !== undefined) acquired(lease, this.over ?? "");
    else this.waiting.push(acquired);
  }

  /** Nobody waits any more: a lease that is not there yet is not wanted. */
  forgetWaiting(acquired: Acquired): boolean {
    this.waiting = this.waiting.filter(one => one !== acquired);
    return this.waiting.length === 0 && this.lease === undefined;
  }

  /** Gives the lease back to the server, where the interface is still there, and ends. */
  release(): void {
    const { lease, holder } = this;
    if (lease) log.info(`${holder.name}: releasing lease of ${lease.address}`);
    try {
      this.client.release();
    } catch (error) {
      log.warn(`${holder.name}: the server can't be told that the lease is given back: ${errorText(error)}`);
    }
    this.end("it was given back");
  }

  /** True where the namespace is gone from its path, or another has its place. */
  get isOrphan(): boolean {
    return identityOf(this.holder.netns) !== this.holder.identity;
  }

  /** Ends with the namespace. */
  abandon(): void {
    log.info(`${this.holder.name}: its namespace is gone, the lease is left to run out`);
    this.end("the namespace is gone");
  }

  /** Ends with the daemon; the record stays for the next one. */
  close(): void {
    this.client.stop();
    this.settle();
  }

  private bound(lease: Lease): void {
    const { holder, options, mac } = this;
    log.info(`${holder.name}: lease of ${lease.address} until ${timeText(lease)}, from ${lease.server}`);
    options.records.write(holder, mac, lease, zero());
    this.tell(lease, "");
  }

  /** An address that is somebody else's by now must not be used. */
  private lost(why: string): void {
    const { name, ifName } = this.holder;
    try {
      inside(this.holder, (nl, index) => setLink(nl, index, { up: false }));
    } catch (error) {
      log.warn(`${name}: ${ifName} can't be set down: ${errorText(error)}`);
    }
    log.warn(`${name}: the lease is over, ${why}; ${ifName} is set down`);
    this.end(why);
  }

  private end(why: string): void {
    this.over = why;
    this.client.stop();
    this.options.records.remove(this.holder.name);
    this.settle();
    this.tell(undefined, why);
  }

  private tell(lease: Lease | undefined, why: string): void {
    const { waiting } = this;
    this.waiting = [];
    for (const acquired of waiting) acquired(lease, why);
  }

  /** What the client wants next: to hear, or only to be woken. A socket that is not needed would keep the namespace alive. */
  private settle(): void {
    const { loop } = this.options;
    if (!this.client.listens && this.fd >= 0) {
      loop.forget(this.fd);
      closeSocket(this.fd);
      this.fd = -1;
    }
    if (this.client.due === Number.POSITIVE_INFINITY) loop.timers.cancel(this.timer);
    else loop.timers.set(this.timer, this.client.due);
  }

  private send(frame: Uint8Array<ArrayBuffer>): void {
    if (this.fd < 0) this.open();
    const result = sendFrame(this.fd, frame);
    // A wire that is not up yet is one on which a frame was lost.
    if (result < 0 && result !== -ERRNO.EAGAIN)
      log.info(`${this.holder.name}: can't send: ${errnoName(-result)}`);
  }

  private open(): void {
    this.fd = inside(this.holder, (nl, index, up) => {
      if (!up) setLink(nl, index, { up: true });
      return openDhcpSocket(index);
    });
    const result = this.options.loop.add(this.fd, EPOLL.IN, { ready: now => this.read(now) });
    if (result < 0) throw new Error(`epoll_ctl: ${errnoName(-result)}`);
  }

  private read(now: number): void {
    this.guarded(() => {
      for (let count = 0; count < FRAMES_AT_ONCE && this.fd >= 0 && this.client.listens; count++) {
        const length = receivePart(this.fd, received, 0, received.length);
        if (length < 0) return;
        this.client.receive(received.subarray(0, length), now);
      }
    });
  }

  /** Whatever goes wrong is this lease's alone. */
  private guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      log.warn(`${this.holder.name}: the lease is given up: ${errorText(error)}`);
      this.end(errorText(error));
      return;
    }
    this.settle();
  }
}

/** The client identifier: a byte for "no hardware address" and the holder's name, unless the configuration has one. */
function clientIdOf({ name, wanted }: Holder): Uint8Array {
  return wanted.provide.get(DHCP_OPTION.CLIENT_IDENTIFIER) ?? Uint8Array.from([0, ...Buffer.from(name)]);
}

function timeText({ lease }: Lease): string {
  return Number.isFinite(lease) ? new Date(Date.now() + lease * 1000).toISOString() : "the end of time";
}

/** Does something to the interface in its namespace. */
function inside<T>(
  { netns: path, ifName }: Holder,
  action: (nl: NetlinkSocket, index: number, up: boolean) => T,
): T {
  return netns.run(path, (() => {
    using nl = new NetlinkSocket();
    const link = linkByName(nl, ifName);
    if (!link) throw new Error(`error looking up ${JSON.stringify(ifName)}: Link not found`);
    return action(nl, link.index, link.up);
  }) as () => never) as T;
}

function macOf(holder: Holder): Uint8Array {
  const mac = netns.run(holder.netns, () => {
    using nl = new NetlinkSocket();
    return linkByName(nl, holder.ifName)?.mac;
  });
  if (mac === undefined) throw new Error(`error looking up ${JSON.stringify(holder.ifName)}: Link not found`);
  const six = parseMac(mac);
  if (!six) throw new Error(`${holder.ifName} has no hardware address of Ethernet's`);
  return six;
}
