/** The data plane of many guests and networks: one thread, one loop. `run` keeps the thread until `stop`. */
import { log } from "../base/log.ts";
import { raiseDescriptorLimit } from "../sys/rlimit.ts";
import { Loop } from "./loop.ts";
import { NameTable } from "./names.ts";
import { ResolvConf } from "./resolv-conf.ts";
import { NetworkResolver, type ResolverOptions } from "./resolver.ts";
import { Tap, type TapOptions } from "./tap.ts";
import { thrift } from "./thrift.ts";

export interface DataPlaneOptions {
  /** Where the host's resolvers are read from, `/etc/resolv.conf` where nothing is said. */
  resolvConf?: string;
}

/** Descriptors that a busy guest needs: one to a flow. */
const FEW_DESCRIPTORS = 1024;

export class DataPlane implements Disposable {
  private readonly loop = new Loop();
  private readonly taps = new Set<Tap>();
  private readonly resolvers = new Set<NetworkResolver>();
  private readonly resolvConf: ResolvConf;
  /** What the resolvers of networks tell. */
  readonly names = new NameTable();

  constructor(options: DataPlaneOptions = {}) {
    const limit = raiseDescriptorLimit();
    if (limit <= FEW_DESCRIPTORS) log.warn(`only ${limit} files may be open: that many flows at the most`);
    this.resolvConf = new ResolvConf(this.loop, options.resolvConf);
  }

  /** The host's search domains, for the guests' DHCP. */
  get searchDomains(): readonly string[] {
    return this.resolvConf.search;
  }

  /** Serves a tap from now on. */
  addTap(options: TapOptions): Tap {
    const onGone = () => {
      this.taps.delete(tap);
      options.onGone?.();
    };
    const tap = new Tap(this.loop, this.resolvConf, { ...options, onGone });
    this.taps.add(tap);
    return tap;
  }

  removeTap(tap: Tap): void {
    this.taps.delete(tap);
    tap.close();
  }

  /** Tells the network's names from now on. */
  addResolver(options: Omit<ResolverOptions, "loop" | "resolvConf" | "names">): NetworkResolver {
    const { loop, resolvConf, names } = this;
    const resolver = new NetworkResolver({ ...options, loop, resolvConf, names });
    names.addNetwork(options.network);
    this.resolvers.add(resolver);
    return resolver;
  }

  removeResolver(resolver: NetworkResolver): void {
    this.resolvers.delete(resolver);
    this.names.removeNetwork(resolver.network);
    resolver.close();
  }

  /** Calls `callback` with EPOLL bits while `fd` is ready (level-triggered). `unwatch` comes before `fd` is closed. */
  watch(fd: number, events: number, callback: (events: number) => void): void {
    this.loop.watch(fd, events, callback);
  }

  unwatch(fd: number): void {
    this.loop.unwatch(fd);
  }

  /** Calls `action` once, some milliseconds from now. */
  later(milliseconds: number, action: () => void): void {
    this.loop.later(milliseconds, action);
  }

  /** See `thrift`. */
  thrift(): () => void {
    return thrift(this.loop);
  }

  /** Serves until `stop`; nothing else runs on this thread meanwhile. */
  run(): void {
    this.loop.run();
  }

  stop(): void {
    this.loop.stop();
  }

  [Symbol.dispose](): void {
    for (const tap of this.taps) tap.close();
    for (const resolver of this.resolvers) resolver.close();
    this.resolvConf[Symbol.dispose]();
  }
}
