/**
 * Masquerading: what leaves a container for somewhere outside its network carries the host's address.
 *
 * Go's bridge plugin has a rule a container for this (`inet cni_plugins_masquerade`); here it is two set elements, so
 * that the number of containers does not matter. See docs/adr/0004-one-firewall-table.md.
 */
import { concat, type Element, prefix } from "./element.ts";
import type { ContainerAddress } from "./ports.ts";

/** The elements that masquerade one address of a container. */
export function masqueraded(owner: string, target: ContainerAddress): Element[] {
  const { version, address, network } = target;
  return [
    { set: `masquerade${version}`, key: address, owner },
    { set: `near${version}`, key: concat(address, prefix(network.address, network.length)), owner },
  ];
}
