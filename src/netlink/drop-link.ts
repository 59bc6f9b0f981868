/** Deleting a link without the kernel's long wait. */
import { errorText, hasCode } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { deleteLink, deleteLinkAside, linkByIndex } from "./link.ts";
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
  try {
    deleteLinkAside(nl, index);
    // A look waits for the kernel's lock, which is held until the link's addresses, routes and bridge port are gone too.
    for (let looks = 0; looks < MAX_LOOKS; looks++) {
      if (!linkByIndex(nl, index)) return;
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
