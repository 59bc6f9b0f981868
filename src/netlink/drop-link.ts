/** Deleting a link without the kernel's long wait. */
import { errorText, hasCode } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { interfaceIndex } from "../sys/interface.ts";
import { deleteGroupAside, deleteLink, deleteLinkAside, type Link, linkByIndex, setLink } from "./link.ts";
import type { NetlinkSocket } from "./socket.ts";

/** Milliseconds between two looks whether the link is gone, and how many of them before it is deleted without help. */
const INTERVAL = 0.3;
const MAX_LOOKS = 100;

/**
 * Deletes a link; quiet when it is gone already. Back once nobody can see it any more: the kernel answers a deletion only
 * after a grace period (RCU), which takes some twenty milliseconds, frees memory and changes nothing else. A process aside
 * waits for that.
 */
export function dropLink(nl: NetlinkSocket, index: number): void {
  drop(nl, index, () => linkByIndex(nl, index) === undefined);
}

/**
 * The same for a link of the calling thread's namespace. Back once its name is free: by then a bridge has no ports, while the
 * kernel holds its lock for a grace period more, which whoever changes something next waits for.
 */
export function dropLinkHere(nl: NetlinkSocket, { index, name }: Pick<Link, "index" | "name">): void {
  drop(nl, index, () => interfaceIndex(name) !== index);
}

/**
 * The same for several links of the calling thread's namespace at once: they take one grace period together. A bridge goes
 * with its ports.
 */
export function dropTogether(nl: NetlinkSocket, list: readonly Pick<Link, "index" | "name">[]): void {
  const isThere = (one: Pick<Link, "index" | "name">) => interfaceIndex(one.name) === one.index;
  try {
    const [group] = crypto.getRandomValues(new Uint32Array(1));
    for (const { index } of list) setLink(nl, index, { group: group! || 1 });
    deleteGroupAside(nl, group! || 1);
    for (let looks = 0; looks < MAX_LOOKS && list.some(isThere); looks++) Bun.sleepSync(INTERVAL);
  } catch (error) {
    log.debug(`deleting links ${list.map(one => one.name).join(", ")} aside: ${errorText(error)}`);
  }
  for (const one of list.filter(isThere)) dropLinkHere(nl, one);
}

function drop(nl: NetlinkSocket, index: number, isGone: () => boolean): void {
  try {
    deleteLinkAside(nl, index);
    // A look waits for the kernel's lock, which is held until the link's addresses, routes and bridge port are gone too.
    for (let looks = 0; looks < MAX_LOOKS; looks++) {
      if (isGone()) return;
      Bun.sleepSync(INTERVAL);
    }
  } catch (error) {
    log.debug(`deleting link ${index} aside: ${errorText(error)}`);
  }
  try {
    deleteLink(nl, index);
  } catch (error) {
    if (!hasCode(error, "ENODEV")) throw error;
  }
}
