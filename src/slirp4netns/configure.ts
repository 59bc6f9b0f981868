/** What `--configure` does inside the target namespace: loopback and the tap come up, with addresses and routes. */
import { hasCode, UserError } from "../base/errors.ts";
import { addAddress, addresses, IFA_F } from "../netlink/address.ts";
import { linkByName, setLink } from "../netlink/link.ts";
import { addRoute } from "../netlink/route.ts";
import { NetlinkSocket } from "../netlink/socket.ts";
import { formatIP } from "../wire/addr.ts";
import { type Addresses, IPV6, withPrefix } from "./addresses.ts";

export interface Configuration {
  tapName: string;
  /** Bytes of IP packet. */
  mtu: number;
  addresses: Addresses;
  ipv6: boolean;
  /** `aa:bb:cc:dd:ee:ff`; absent: the kernel's choice stays. */
  mac?: string;
}

/** Configures the namespace that the calling thread is in. What is set already is left as it is. */
export function configure({ tapName, mtu, addresses: plan, ipv6, mac }: Configuration): void {
  using nl = new NetlinkSocket();
  const loopback = linkByName(nl, "lo");
  if (loopback) setLink(nl, loopback.index, { up: true });
  const tap = linkByName(nl, tapName);
  if (!tap) throw new UserError(`the interface ${tapName} has gone`);
  const { index } = tap;
  if (mac) setLink(nl, index, { mac });
  setLink(nl, index, { mtu, up: true });
  unlessThere(() => addAddress(nl, { index, address: withPrefix(plan.guest, plan.network) }));
  unlessThere(() => addRoute(nl, { dst: "0.0.0.0/0", gateway: formatIP(plan.gateway), index }));
  if (ipv6) configureIpv6(nl, index);
}

/**
 * Router advertisements would do it too, seconds later, since the kernel first looks whether the address is in use.
 * Nothing to do where the namespace has IPv6 switched off.
 */
function configureIpv6(nl: NetlinkSocket, index: number): void {
  if (!addresses(nl, { index, family: 6 }).some(({ scope }) => scope === "link")) return;
  unlessThere(() =>
    addAddress(nl, { index, address: withPrefix(IPV6.guest, IPV6.network), flags: IFA_F.NODAD }),
  );
  unlessThere(() => addRoute(nl, { dst: "::/0", gateway: formatIP(IPV6.gateway), index }));
}

function unlessThere(step: () => void): void {
  try {
    step();
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  }
}
