/** One published TCP port: accepts callers and passes them on to the guest. */
import { log } from "../base/log.ts";
import type { Endpoint } from "../stack/endpoint.ts";
import { Timer } from "../stack/timers.ts";
import { EPOLL } from "../sys/epoll.ts";
import { ERRNO, errnoName, sysError } from "../sys/errno.ts";
import { acceptSocket, closeSocket, relayStream, SocketAddress } from "../sys/inet.ts";
import { endpointOf, type Guest } from "./guest.ts";
import type { Ready } from "./loop.ts";

/** Connections taken at one wake-up, so that a flood leaves time for others. */
const BATCH = 64;
/** When descriptors run out nobody is accepted for this long, in milliseconds; callers wait in the backlog. */
const BACK_OFF = 100;

const peer = new SocketAddress();

export class TcpListener implements Ready {
  private readonly resume = new Timer(() => this.guest.loop.change(this.fd, EPOLL.IN));
  private complained = false;

  constructor(
    private readonly guest: Guest,
    private readonly fd: number,
    private readonly to: Endpoint,
    /** Where callers go whom `to` refuses. */
    private readonly otherwise: Endpoint | undefined,
  ) {
    relayStream(fd);
    const result = guest.loop.add(fd, EPOLL.IN, this);
    if (result < 0) {
      closeSocket(fd);
      throw sysError("epoll_ctl", -result);
    }
  }

  ready(now: number): void {
    for (let count = 0; count < BATCH; count++) {
      const fd = acceptSocket(this.fd, peer);
      if (fd >= 0) this.pass(now, fd);
      else if (fd === -ERRNO.EAGAIN) break;
      else if (fd === -ERRNO.EMFILE || fd === -ERRNO.ENFILE) {
        this.backOff(now, -fd);
        break;
      }
      // Any other error is of a caller that is gone already (accept(2)), and says nothing about the next.
    }
  }

  private pass(now: number, fd: number): void {
    const from = endpointOf(peer);
    const { to, otherwise } = this;
    if (otherwise === undefined) this.lead(now, fd, from, to);
    else {
      const caller = { ...from, address: from.address.slice() };
      this.lead(now, fd, from, to, () => this.lead(performance.now(), fd, caller, otherwise));
    }
  }

  /** Past the stack where that is possible, else through it. */
  private lead(now: number, fd: number, from: Endpoint, to: Endpoint, refused?: () => void): void {
    if (this.guest.relay(fd, from, to, refused)) return;
    const { otherwise } = this;
    if (this.guest.adopt(fd) >= 0) this.guest.tcpAccepted(now, fd, from, to, refused && otherwise);
  }

  private backOff(now: number, errno: number): void {
    if (!this.complained)
      log.warn(`published ports wait for free descriptors: ${errnoName(errno)} (raise ulimit -n)`);
    this.complained = true;
    this.guest.loop.change(this.fd, 0);
    this.guest.loop.timers.set(this.resume, now + BACK_OFF);
  }

  close(): void {
    this.guest.loop.timers.cancel(this.resume);
    this.guest.loop.unwatch(this.fd);
    closeSocket(this.fd);
  }
}
