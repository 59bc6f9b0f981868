/** What `--configure` does inside the target namespace: loopback and the tap come up, with addresses and routes. */
import { linkByName, setLink } from "../netlink/link.ts";
import { setUpInterface } from "../netlink/set-up.ts";
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

/**
 * Configures the namespace that the calling thread is in. Router advertisements would give IPv6 an address too, seconds
 * later, since the kernel first looks whether it is in use.
 */
export function configure({ tapName, mtu, addresses: plan, ipv6, mac }: Configuration): void {
  using nl = new NetlinkSocket();
  const loopback = linkByName(nl, "lo");
  if (loopback) setLink(nl, loopback.index, { up: true });
  const families = [plan, ...(ipv6 ? [IPV6] : [])];
  setUpInterface(nl, {
    name: tapName,
    mtu,
    ...(mac ? { mac } : {}),
    addresses: families.map(({ guest, network }) => withPrefix(guest, network)),
    routes: families.map(({ gateway }) => ({
      dst: gateway.family === 4 ? "0.0.0.0/0" : "::/0",
      gateway: formatIP(gateway),
    })),
  });
}
