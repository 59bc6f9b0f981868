/** Ports of bridges (linux/if_link.h, IFLA_BRPORT_*). */
import { type Attribute, attr, body } from "../wire/netlink.ts";
import { IFLA, linkHeader, RTM } from "./link.ts";
import type { NetlinkSocket } from "./socket.ts";

const AF_BRIDGE = 7;

/** Options of a port of a bridge (IFLA_BRPORT_*). */
export function setBridgePort(
  nl: NetlinkSocket,
  index: number,
  options: { hairpin?: boolean; isolated?: boolean; learning?: boolean },
): void {
  const IFLA_BRPORT = { MODE: 4, LEARNING: 8, ISOLATED: 33 } as const;
  const attributes: Attribute[] = [];
  if (options.hairpin !== undefined) attributes.push(attr.u8(IFLA_BRPORT.MODE, options.hairpin ? 1 : 0));
  if (options.learning !== undefined)
    attributes.push(attr.u8(IFLA_BRPORT.LEARNING, options.learning ? 1 : 0));
  if (options.isolated !== undefined)
    attributes.push(attr.u8(IFLA_BRPORT.ISOLATED, options.isolated ? 1 : 0));
  nl.request(
    `change bridge port ${index}`,
    RTM.SETLINK,
    0,
    body(linkHeader(index, 0, 0, AF_BRIDGE), [attr.nested(IFLA.PROTINFO, attributes)]),
  );
}
