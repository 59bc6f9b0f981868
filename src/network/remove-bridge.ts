/** The end of a network's bridge, in the namespace of the calling thread. */
import { dropLink } from "../netlink/drop-link.ts";
import { type Link, linkByName, links } from "../netlink/link.ts";
import { NetlinkSocket } from "../netlink/socket.ts";

/** Removes a bridge that no container is on any more; quiet where there is none of that name. */
export function removeBridge(name: string): void {
  using nl = new NetlinkSocket();
  const link = linkByName(nl, name);
  if (link?.kind === "bridge") dropLink(nl, link.index);
}

/** The links that are on a bridge, but for the end of a VLAN's gateway (`BRIDGE.VLAN`), which is the bridge's own. */
export function portsOfBridge(name: string): Link[] {
  using nl = new NetlinkSocket();
  const bridge = linkByName(nl, name);
  if (bridge?.kind !== "bridge") return [];
  const all = links(nl);
  const isGateway = (port: Link) =>
    all.some(
      one => one.index === port.peerIndex && one.peerIndex === port.index && one.name.startsWith(`${name}.`),
    );
  return all.filter(one => one.master === bridge.index && !isGateway(one));
}
