/** Work inside a container's namespace that no other call may do at the same time, ours or Go's. */
import { NetlinkSocket } from "../../netlink/socket.ts";
import { withLock } from "../../sys/flock.ts";
import * as netns from "../../sys/netns.ts";

/** Runs `fn` in the namespace under a lock of its file, as Go's sbr takes it. The namespace lives. */
export function lockedInside<T>(path: string, fn: (nl: NetlinkSocket) => T): T {
  return withLock(path, () => {
    using nl = netns.run(path, () => new NetlinkSocket());
    return fn(nl);
  });
}
