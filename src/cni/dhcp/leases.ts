/** All leases of a daemon, by who holds them: what its plugins may ask for. */
import { errorText } from "../../base/errors.ts";
import type { PluginConf, Result } from "../types.ts";
import type { Lease } from "./client.ts";
import { Keeper, type KeeperOptions } from "./keeper.ts";
import { readWanted } from "./options.ts";
import { type Holder, holderName, identityOf } from "./record.ts";
import type { CommandArguments } from "./rpc.ts";

/** Called once, with a result or with what went wrong. */
export type Answer = (result: Result | undefined, error: string) => void;
/** Called where the asker has gone before his answer. */
export type Cancel = () => void;

/** Of a destination on the wire itself (rtnetlink(7), `rtm_scope`). */
const SCOPE_LINK = 253;
/** Milliseconds between two looks for namespaces that are gone. */
const LOOK = 10_000;

export class Leases {
  private readonly keepers = new Map<string, Keeper>();

  /** `hostPrefix` goes before paths of namespaces, for a daemon in a container that has the host's file system there. */
  constructor(
    private readonly options: KeeperOptions,
    private readonly hostPrefix: string,
  ) {
    this.lookAround();
  }

  /** Goes on with what another daemon kept. */
  resume(): void {
    for (const saved of this.options.records.readAll(Date.now() - performance.now())) {
      const { name, netns, identity } = saved.holder;
      if (identityOf(netns) !== identity) this.options.records.remove(name);
      else this.keepers.set(name, Keeper.resume(this.options, saved));
    }
  }

  /** The lease that the attachment has, or a new one. */
  allocate(asked: CommandArguments, answer: Answer): Cancel | undefined {
    let keeper: Keeper | undefined;
    try {
      const conf = confOf(asked);
      const priority = conf.ipam?.priority;
      const acquired = (lease: Lease | undefined, why: string) => {
        if (!lease) this.drop(keeper!, false);
        else if (lease.prefix === undefined) {
          this.drop(keeper!, true);
          answer(undefined, "DHCP option Subnet Mask not found in DHCPACK");
          return;
        }
        answer(lease && resultOf(lease, typeof priority === "number" ? priority : undefined), why);
      };
      const holder = this.holderOf(asked, conf);
      keeper = this.keepers.get(holder.name);
      if (keeper?.isOrphan) {
        keeper.abandon();
        keeper = undefined;
      }
      if (keeper?.over !== undefined) throw new Error(`the lease is over: ${keeper.over}`);
      if (keeper) keeper.whenAcquired(acquired);
      else {
        keeper = Keeper.acquire(this.options, holder, acquired);
        // What went wrong at once was told before there was a keeper to forget.
        if (keeper.over === undefined) this.keepers.set(holder.name, keeper);
      }
      const asking = keeper;
      return () => {
        if (asking.over === undefined && asking.forgetWaiting(acquired)) this.drop(asking, true);
      };
    } catch (error) {
      answer(undefined, errorText(error));
      return undefined;
    }
  }

  /** Quiet where there is no lease. */
  release(asked: CommandArguments, answer: Answer): void {
    try {
      const name = nameOf(asked, confOf(asked));
      const keeper = this.keepers.get(name);
      if (keeper) this.drop(keeper, true);
      answer(undefined, "");
    } catch (error) {
      answer(undefined, errorText(error));
    }
  }

  close(): void {
    for (const keeper of this.keepers.values()) keeper.close();
    this.options.records.tidy();
  }

  private drop(keeper: Keeper | undefined, release: boolean): void {
    if (!keeper) return;
    this.keepers.delete(keeper.holder.name);
    if (release) keeper.release();
  }

  private holderOf(asked: CommandArguments, conf: PluginConf): Holder {
    const netns = this.hostPrefix + (asked.Netns ?? "");
    const identity = identityOf(netns);
    if (identity === undefined)
      throw new Error(`failed to Statfs ${JSON.stringify(netns)}: no such namespace`);
    const args = Object.fromEntries((asked.Args ?? "").split(";").map(pair => pairOf(pair)));
    const wanted = readWanted(conf.ipam ?? {}, args);
    const [containerId, network, ifName] = [
      asked.ContainerID ?? "",
      String(conf.name ?? ""),
      asked.IfName ?? "",
    ];
    return { name: nameOf(asked, conf), containerId, network, netns, identity, ifName, wanted };
  }

  /** Leases of namespaces that are gone are kept no longer. */
  private lookAround(): void {
    this.options.loop.later(LOOK, () => {
      for (const keeper of this.keepers.values())
        if (keeper.isOrphan) {
          this.drop(keeper, false);
          keeper.abandon();
        }
      this.lookAround();
    });
  }
}

function confOf({ StdinData = new Uint8Array(0) }: CommandArguments): PluginConf {
  try {
    return JSON.parse(new TextDecoder().decode(StdinData)) as PluginConf;
  } catch (error) {
    throw new Error(`error parsing netconf: ${errorText(error)}`);
  }
}

const nameOf = ({ ContainerID = "", IfName = "" }: CommandArguments, conf: PluginConf) =>
  holderName(ContainerID, String(conf.name ?? ""), IfName);

function pairOf(pair: string): [string, string] {
  const at = pair.indexOf("=");
  return at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
}

function resultOf(lease: Lease, priority: number | undefined): Result {
  const { address, prefix, router, dns, domain, search } = lease;
  return {
    cniVersion: "1.1.0",
    interfaces: [],
    ips: [{ address: `${address}/${prefix}`, gateway: router }],
    routes: lease.routes.map(({ dst, gateway }) => ({
      dst,
      gw: gateway,
      priority,
      scope: gateway === "0.0.0.0" ? SCOPE_LINK : undefined,
    })),
    dns: { nameservers: dns, domain, search },
  };
}
