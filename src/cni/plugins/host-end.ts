/** The host's end of a pair bears the name of its attachment, so that it can be found when all else is forgotten. */
import { dropLink } from "../../netlink/drop-link.ts";
import { type Link, links } from "../../netlink/link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { collectMasquerade } from "./collect.ts";
import type { GcContext, PluginContext } from "./plugin.ts";
import { removeMasquerade } from "./rules.ts";
import { dropHostEnd } from "./veth.ts";

export interface Owner {
  containerId: string;
  ifName: string;
}

/** What the kernel takes (linux/if.h, IFALIASZ, less the NUL); ip-link(8) shows it. */
const ALIAS_BYTES = 255;
const aliasPrefix = (network: string) => `cni:${network}:`;

/** The alias of an attachment's end; undefined where the names are too long for one. */
export function hostEndAlias({
  network,
  containerId,
  ifName,
}: Owner & { network: string }): string | undefined {
  const text = `${aliasPrefix(network)}${containerId}:${ifName}`;
  return text.length <= ALIAS_BYTES ? text : undefined;
}

/** Whose end a link is, by its alias; undefined for one that is none of the network's. */
export function ownerOfHostEnd(network: string, link: Link): Owner | undefined {
  const prefix = aliasPrefix(network);
  if (link.kind !== "veth" || !link.alias.startsWith(prefix)) return undefined;
  const [containerId, ifName] = link.alias.slice(prefix.length).split(":");
  return containerId && ifName ? { containerId, ifName } : undefined;
}

/** Deletes ends of a network's attachments that are as `isDead` says, with the other ends. Gives whose they were. */
function dropHostEnds(network: string, isDead: (owner: Owner) => boolean): Owner[] {
  using nl = new NetlinkSocket();
  return links(nl).flatMap(link => {
    const owner = ownerOfHostEnd(network, link);
    if (!owner || !isDead(owner)) return [];
    dropLink(nl, link.index);
    return [owner];
  });
}

/**
 * For a DEL without a namespace that still lives (containerd's): the pair goes from this end, which the result names, or
 * else its alias.
 */
export function dropForgotten(context: PluginContext): void {
  const { network, containerId, ifName, prevResult } = context;
  if (prevResult) dropHostEnd(prevResult);
  else dropHostEnds(network, one => one.containerId === containerId && one.ifName === ifName);
}

/** For GC: the pairs and the masquerading of attachments that are valid no more. Gives which those were. */
export function dropDead(context: GcContext): Owner[] {
  // No link is older than the boot.
  if (context.before !== undefined) return [];
  const isValid = (one: Owner) =>
    context.valid.some(other => other.containerId === one.containerId && other.ifName === one.ifName);
  const dead = dropHostEnds(context.network, one => !isValid(one));
  for (const one of dead) removeMasquerade({ ...context, ...one });
  collectMasquerade(context);
  return dead;
}
