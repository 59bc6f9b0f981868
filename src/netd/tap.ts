/** One guest: a tap, the stack that answers it, and the host's sockets on the stack's other side. */
import { log } from "../base/log.ts";
import type { StackConfig } from "../stack/config.ts";
import { Stack } from "../stack/stack.ts";
import { EPOLL } from "../sys/epoll.ts";
import { ERRNO, errnoName, sysError } from "../sys/errno.ts";
import { closeFd } from "../sys/fd.ts";
import type { TapDevice } from "../sys/tun.ts";
import { DnsForwarder } from "./dns.ts";
import { Frames } from "./frames.ts";
import type { Guest } from "./guest.ts";
import { HostSockets } from "./host-sockets.ts";
import type { Loop, Turn } from "./loop.ts";
import { Outbound, type OutboundOptions } from "./outbound.ts";
import { type Publication, type PublishedPort, PublishedPorts } from "./published.ts";
import { readiness } from "./readiness.ts";
import { Relays } from "./relays.ts";
import type { ResolvConf } from "./resolv-conf.ts";

export interface TapOptions {
  /** Belongs to the tap from here on; closed with it. */
  device: TapDevice;
  /** What the device does decides about offload; the secret is made here. */
  config: Omit<StackConfig, "offload" | "secret">;
  outbound?: OutboundOptions;
  /** Called once when the device is gone: its network namespace ended, or somebody removed it. */
  onGone?: () => void;
}

/** Frames taken from a guest at one wake-up, so that its neighbours get their turn. */
const BATCH = 32;

export class Tap implements Turn {
  due = Number.POSITIVE_INFINITY;
  touched = false;
  private readonly frames: Frames;
  private readonly sockets: HostSockets;
  private readonly config: StackConfig;
  private stack: Stack;
  private readonly published: PublishedPorts;
  /** Callers who reach the guest by its own namespace. */
  readonly relays: Relays;
  private readonly dns: DnsForwarder;
  private closed = false;
  private brokenAt = Number.NEGATIVE_INFINITY;
  /** Refused connections that the log has told of, and when it last did. */
  private refused = 0;
  private refusedAt = Number.NEGATIVE_INFINITY;
  /** The last wake-up found one frame, and when that was. */
  private lone = false;
  private heardAt = 0;

  constructor(
    private readonly loop: Loop,
    resolvConf: ResolvConf,
    private readonly options: TapOptions,
  ) {
    const { device } = options;
    const secret = crypto.getRandomValues(new Uint8Array(16));
    const { offload, udpSegments } = device;
    this.config = { ...options.config, offload, udpSegments, secret };
    const outbound = new Outbound(options.outbound);
    this.frames = new Frames(device);
    this.sockets = new HostSockets({
      loop,
      frames: this.frames,
      outbound,
      resolvConf,
      sink: { ready: (now, fd, events) => this.socketReady(now, fd, events) },
    });
    this.stack = new Stack(this.config, this.sockets);
    this.relays = new Relays(loop);
    this.published = new PublishedPorts(this.guest());
    this.dns = new DnsForwarder({ loop, resolvConf, outbound });
    this.sockets.dns = (token, message) =>
      this.dns.query(message, answer => {
        this.stack.dnsAnswered(performance.now(), token, answer);
        loop.touch(this);
      });
    this.sockets.published = this.published;
    const result = loop.add(device.fd, EPOLL.IN, { ready: now => this.frameReady(now) });
    if (result < 0) throw sysError("epoll_ctl", -result, device.name);
    loop.join(this);
  }

  private guest(): Guest {
    const { loop, sockets, config } = this;
    return {
      loop,
      hasFamily: family => family === 4 || config.ipv6 !== undefined,
      adopt: fd => sockets.adopt(fd),
      relay: (fd, from, to, refused) => this.relays.take(fd, this.stack.clientAddress(from, to), to, refused),
      tcpAccepted: (now, fd, from, to, otherwise) => {
        loop.touch(this);
        try {
          this.stack.tcpAccepted(now, fd, from, to, otherwise);
        } catch (error) {
          this.broken(error);
        }
      },
      datagramArrived: (now, fd, from, to, buffer, start, length) => {
        loop.touch(this);
        try {
          this.stack.datagramArrived(now, fd, from, to, buffer, start, length);
        } catch (error) {
          this.broken(error);
        }
      },
      datagramsClosed: (now, fd) => this.stack.datagramsClosed(now, fd),
    };
  }

  private frameReady(now: number): void {
    const { frames, loop } = this;
    // Where frames come one by one, a look for a second costs more than it finds; epoll will tell if there is one.
    const single = this.lone && loop.wakeUps !== this.heardAt + 1;
    const most = single ? 1 : BATCH;
    loop.touch(this);
    let count = 0;
    try {
      const { stack } = this;
      while (count < most) {
        const end = frames.read();
        if (end < 0) {
          if (end !== -ERRNO.EAGAIN) this.gone(-end);
          break;
        }
        stack.input(now, frames.buffer, frames.view, frames.start, end, frames.trusted, frames.segmentSize);
        count++;
      }
      this.sockets.endBatch(now);
    } catch (error) {
      this.broken(error);
    }
    this.lone = single || count <= 1;
    this.heardAt = loop.wakeUps;
  }

  private socketReady(now: number, fd: number, events: number): void {
    this.loop.touch(this);
    try {
      this.stack.socketReady(now, fd, readiness(events));
    } catch (error) {
      this.broken(error);
    }
  }

  /** The end of a wake-up: what is due, and what has gathered. */
  run(now: number): void {
    if (this.closed) return;
    try {
      const { stack } = this;
      if (this.due <= now) stack.tick(now);
      stack.flush(now);
      this.sockets.endBatch(now);
      this.due = stack.nextTimeout();
      if (stack.refused > this.refused) this.tellRefused(now, stack.refused);
    } catch (error) {
      this.broken(error);
    }
  }

  /** The guest sees resets; whoever wonders about them finds the reason in the log. */
  private tellRefused(now: number, refused: number): void {
    if (now - this.refusedAt < 10_000) return;
    const { tcpFlows, totalBuffer } = this.config.limits;
    log.warn(
      `${this.options.device.name}: connections refused: ${refused - this.refused} (at most ${tcpFlows} at once, in ${totalBuffer >> 20} MB)`,
    );
    this.refusedAt = now;
    this.refused = refused;
  }

  /**
   * A mistake of ours has come to light in this guest's stack, whose state can't be trusted any more. Its flows are reset
   * and it begins anew; other guests do not notice.
   */
  private broken(error: unknown): void {
    const now = performance.now();
    if (now - this.brokenAt > 10_000) {
      this.brokenAt = now;
      log.error(`${this.options.device.name}: flows are reset after an internal error: ${traceOf(error)}`);
    }
    this.sockets.resetAll();
    this.stack = new Stack(this.config, this.sockets);
    this.refused = 0;
    this.due = Number.POSITIVE_INFINITY;
  }

  /** See `PublishedPorts.publish`. */
  publish(publication: Publication, fds?: readonly number[]): number {
    return this.published.publish(publication, fds);
  }

  /** False when there is no publication of that number. */
  unpublish(id: number): boolean {
    return this.published.unpublish(id);
  }

  list(): PublishedPort[] {
    return this.published.list();
  }

  private gone(errno: number): void {
    log.info(`${this.options.device.name} is gone: ${errnoName(errno)}`);
    this.close();
    this.options.onGone?.();
  }

  /** Ends all flows and closes the device. */
  close(): void {
    if (this.closed) return;
    this.published.close();
    this.relays.close();
    this.dns.close();
    this.closed = true;
    try {
      this.stack.close(performance.now());
    } finally {
      this.sockets.resetAll();
    }
    this.loop.leave(this);
    this.loop.unwatch(this.options.device.fd);
    closeFd(this.options.device.fd);
  }
}

const traceOf = (error: unknown) => (error instanceof Error ? (error.stack ?? error.message) : String(error));
