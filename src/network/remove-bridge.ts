/** The end of a network's bridge, in the namespace of the calling thread. */
import { dropLink } from "../netlink/drop-link.ts";
import { linkByName } from "../netlink/link.ts";
import { NetlinkSocket } from "../netlink/socket.ts";

/** Removes a bridge that no container is on any more; quiet where there is none of that name. */
export function removeBridge(name: string): void {
  using nl = new NetlinkSocket();
  const link = linkByName(nl, name);
  if (link?.kind === "bridge") dropLink(nl, link.index);
}
