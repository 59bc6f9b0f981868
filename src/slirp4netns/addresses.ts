/** Who has which address in the guest's network: the arithmetic that engines repeat on their side. */
import {
  bigIntToIp,
  type Cidr,
  formatIP,
  type IpAddress,
  ipToBigInt,
  networkOf,
  parseCidr,
} from "../wire/addr.ts";

export interface Addresses {
  network: Cidr;
  /** Stands for the host: the network's address + 2. */
  gateway: IpAddress;
  /** + 3. */
  dns: IpAddress;
  /** The address that `--configure` gives and that ports lead to where nothing else is said: + 100 (`::100`). */
  guest: IpAddress;
  /** + 15 and + 30. */
  dhcp: { first: IpAddress; last: IpAddress };
}

/** The addresses of a network of either family. */
export function addressesOf(network: Cidr): Addresses {
  const base = ipToBigInt(networkOf(network));
  const at = (offset: bigint) => bigIntToIp(base + offset, network.ip.family);
  return {
    network,
    gateway: at(2n),
    dns: at(3n),
    guest: at(network.ip.family === 4 ? 100n : 0x100n),
    dhcp: { first: at(15n), last: at(30n) },
  };
}

/** The one network that `--enable-ipv6` knows. */
export const IPV6 = addressesOf(parseCidr("fd00::/64")!);

/** `10.9.0.100/16`. */
export function withPrefix(ip: IpAddress, network: Cidr): string {
  return `${formatIP(ip)}/${network.prefix}`;
}
