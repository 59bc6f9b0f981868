/**
 * What plugins share that give the container one interface: it is made, IPAM gives it addresses, both are put together
 * inside. Whatever a step made or took goes back when a later one fails, since a plugin that is called by its own name has
 * nobody else to do that.
 */
import { existsSync } from "node:fs";
import { hasCode } from "../../base/errors.ts";
import { dropLink } from "../../netlink/drop-link.ts";
import { linkByName } from "../../netlink/link.ts";
import { knowsKind } from "../../netlink/new-link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { interfaceIndex } from "../../sys/interface.ts";
import * as netns from "../../sys/netns.ts";
import { CNI_ERROR, CniError, type Dns, type Result, type ResultInterface } from "../types.ts";
import { configureInside, type InsideOptions } from "./inside.ts";
import { emptyResult, type PluginContext } from "./plugin.ts";

/** Kernel modules whose names are not those of their links. */
const MODULES: Record<string, string> = { vlan: "8021q" };

export interface AttachSteps extends InsideOptions {
  /**
   * Makes the interface in the container, down; leaves nothing where it throws. Gives the host's interfaces that stand
   * before it in the result.
   */
  make(): ResultInterface[];
  /** Takes it away again; absent: it is deleted. */
  unmake?(): void;
  /** Addresses and routes from somewhere else than IPAM. */
  addresses?: Result;
  /** The last step, on the host, with the result as it will be told. */
  outside?(result: Result): void;
}

/** ADD. The interface stays without addresses where the configuration names no IPAM. */
export async function attach(context: PluginContext, steps: AttachSteps): Promise<Result> {
  requireNetns(context);
  const hostSide = steps.make();
  let hasAddress = false;
  try {
    let given = steps.addresses;
    if (!given && context.conf.ipam?.type) {
      given = await context.ipam.add();
      hasAddress = true;
      if (given.ips.length === 0)
        throw new CniError(CNI_ERROR.INTERNAL, "IPAM plugin returned missing IP config");
    }
    const { ips, routes, dns } = given ?? emptyResult(context.cniVersion);
    const result: Result = {
      cniVersion: context.cniVersion,
      interfaces: hostSide,
      ips: ips.map(one => ({ ...one, interface: hostSide.length })),
      routes: [...routes],
      dns: confDns(context) ?? dns,
    };
    const mac = configureInside(context, result, steps);
    result.interfaces = [...hostSide, { name: context.ifName, mac, sandbox: context.netns }];
    steps.outside?.(result);
    return result;
  } catch (error) {
    // What went wrong first is what the person must hear of; the address goes last, as in DEL.
    await quietly(() => (steps.unmake ? steps.unmake() : dropInside(context)));
    if (hasAddress) await quietly(() => context.ipam.del());
    throw error;
  }
}

/** Throws where the namespace that ADD and CHECK are about is not there, or is none. */
export function requireNetns(context: PluginContext): void {
  if (hasNetns(context)) return;
  const why = existsSync(context.netns) ? "it is no network namespace" : "no such file or directory";
  throw new CniError(CNI_ERROR.INTERNAL, `failed to open netns ${JSON.stringify(context.netns)}: ${why}`);
}

/** For interfaces without a parent, which the kernel itself sets a limit to. */
export function checkMtu(mtu: number | undefined): void {
  if (mtu !== undefined && mtu < 0)
    throw new CniError(CNI_ERROR.INVALID_CONFIG, `invalid MTU ${mtu}, must be 0 (the kernel's) or more`);
}

async function quietly(step: () => void | Promise<void>): Promise<void> {
  try {
    await step();
  } catch {}
}

/** The configuration's own `dns`, where it says anything. */
export function confDns(context: PluginContext): Dns | undefined {
  const dns = context.conf.dns as Dns | undefined;
  return dns && Object.keys(dns).length > 0 ? dns : undefined;
}

/** DEL: the interface, then its address, which nobody else may be given while the interface lives. */
export async function detach(context: PluginContext): Promise<void> {
  dropInside(context);
  await giveBack(context);
}

export async function giveBack(context: PluginContext): Promise<void> {
  if (context.conf.ipam?.type) await context.ipam.del();
}

/** True when the namespace of a DEL still lives. */
export const hasNetns = (context: PluginContext): boolean =>
  context.netns !== "" && netns.isNetns(context.netns);

/** Deletes the container's interface; quiet where it or the namespace is gone. */
export function dropInside(context: PluginContext): void {
  if (!hasNetns(context)) return;
  // This question waits for no lock. One that went with its other end is gone, while the kernel holds the lock that the next
  // question waits for through a grace period.
  if (netns.run(context.netns, () => interfaceIndex(context.ifName)) === 0) return;
  using nl = netns.run(context.netns, () => new NetlinkSocket());
  const link = linkByName(nl, context.ifName);
  if (link) dropLink(nl, link.index);
}

/** Runs a step that makes a link. A kernel that has no links of that kind is told of by the module that it misses. */
export function making<T>(nl: NetlinkSocket, kind: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (!hasCode(error, "EOPNOTSUPP") || knowsKind(nl, kind)) throw error;
    throw missingModule(CNI_ERROR.INTERNAL, kind);
  }
}

function missingModule(code: number, kind: string): CniError {
  return new CniError(
    code,
    `failed to create ${kind}: operation not supported`,
    `this kernel has no module ${MODULES[kind] ?? kind}`,
  );
}

/** STATUS: throws where the kernel has no links of a kind. */
export function statusOf(kind: string): void {
  using nl = new NetlinkSocket();
  if (!knowsKind(nl, kind)) throw missingModule(CNI_ERROR.NOT_AVAILABLE, kind);
}
