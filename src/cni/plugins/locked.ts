/** Work inside a container's namespace that no other call may do at the same time, ours or Go's. */
import { NetlinkSocket } from "../../netlink/socket.ts";
import { withLock } from "../../sys/flock.ts";
import * as netns from "../../sys/netns.ts";

/**
 * Calls `fn` with a socket of the namespace, under a lock of the namespace's file, as Go's sbr takes it. Throws where the path
 * leads to none, and makes no file there.
 */
export function lockedInside<T>(path: string, fn: (nl: NetlinkSocket) => T): T {
  using nl = netns.run(path, () => new NetlinkSocket());
  return withLock(path, () => fn(nl));
}
