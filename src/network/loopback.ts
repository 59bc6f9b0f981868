/** `lo`, which a new namespace has but which is down there. */
import { setLink } from "../netlink/link.ts";
import { NetlinkSocket } from "../netlink/socket.ts";

/** The kernel gives it this number in every namespace (LOOPBACK_IFINDEX in its include/net/flow.h). */
const LOOPBACK = 1;

/** Works in the calling thread's network namespace. */
export function bringLoopbackUp(): void {
  using nl = new NetlinkSocket();
  setLink(nl, LOOPBACK, { up: true });
}
