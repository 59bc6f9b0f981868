/** An interface brought up whole: hardware address, MTU, addresses, routes. What is set already is left as it is. */
import { hasCode, UserError } from "../base/errors.ts";
import { addAddress, addresses, IFA_F } from "./address.ts";
import { linkByName, setLink } from "./link.ts";
import { addRoute, type NewRoute } from "./route.ts";
import type { NetlinkSocket } from "./socket.ts";

export interface InterfaceSetup {
  name: string;
  /** Bytes of IP packet. */
  mtu: number;
  /** `aa:bb:cc:dd:ee:ff`; absent: the kernel's choice stays. */
  mac?: string;
  /** `10.0.2.100/24`; those of IPv6 are used at once, without asking whether somebody has them (RFC 4862, 5.4). */
  addresses: readonly string[];
  /** By this interface; in order, since a gateway must be known to be reachable. */
  routes: readonly Omit<NewRoute, "index">[];
}

/** Works in the namespace of the socket. IPv6 is passed over where the namespace has it switched off. */
export function setUpInterface(nl: NetlinkSocket, { name, mtu, mac, ...wanted }: InterfaceSetup): void {
  const link = linkByName(nl, name);
  if (!link) throw new UserError(`the interface ${name} has gone`);
  const { index } = link;
  if (mac && mac !== link.mac) setLink(nl, index, { mac });
  setLink(nl, index, { mtu, up: true });
  const hasIpv6 = addresses(nl, { index, family: 6 }).some(({ scope }) => scope === "link");
  const usable = (text: string) => hasIpv6 || !text.includes(":");
  for (const address of wanted.addresses.filter(usable)) {
    const flags = address.includes(":") ? { flags: IFA_F.NODAD } : {};
    unlessThere(() => addAddress(nl, { index, address, ...flags }));
  }
  for (const route of wanted.routes.filter(({ dst }) => usable(dst)))
    unlessThere(() => addRoute(nl, { ...route, index }));
}

function unlessThere(step: () => void): void {
  try {
    step();
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  }
}
