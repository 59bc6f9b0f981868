/** The container's own addresses in a result, as the firewall wants them. */
import type { ContainerAddress } from "../../firewall/ports.ts";
import { formatIP, networkOf, parseCidr } from "../../wire/addr.ts";
import { CNI_ERROR, CniError, type Result } from "../types.ts";

/** `"10.88.0.5/16"` as an address and the network that it is in. */
export function containerAddress(text: string): ContainerAddress {
  const cidr = parseCidr(text);
  if (!cidr) throw new CniError(CNI_ERROR.DECODE, `invalid address ${JSON.stringify(text)} in a result`);
  return {
    version: cidr.ip.family,
    address: formatIP(cidr.ip),
    network: { address: formatIP(networkOf(cidr)), length: cidr.prefix },
  };
}

/** Every address on the container's interface; all of the result's where it does not say whose they are. */
export function addressesOf(result: Result, ifName: string): ContainerAddress[] {
  return result.ips
    .filter(({ interface: index }) => {
      const on = index === undefined ? undefined : result.interfaces[index];
      return !on || (on.name === ifName && on.sandbox !== undefined);
    })
    .map(one => containerAddress(one.address));
}
