/** `lo`, which a new namespace has but which is down there. */
import { linkByName, setLink } from "../netlink/link.ts";
import { NetlinkSocket } from "../netlink/socket.ts";

/** Works in the calling thread's network namespace. */
export function bringLoopbackUp(): void {
  using nl = new NetlinkSocket();
  setLink(nl, linkByName(nl, "lo")!.index, { up: true });
}
