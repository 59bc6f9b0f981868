/**
 * Isolation: bridges that keep out each other (`same-bridge`), and containers that keep out their neighbours as well
 * (`isolated`), as the `ingressPolicy` of the CNI firewall plugin asks. A bridge leaves the set of isolated ones with
 * its last container (`FirewallBatch` sees to it).
 */
import { concat, type Element } from "./element.ts";
import type { ContainerAddress } from "./ports.ts";

/** The element that keeps one address of a container, a member of its bridge, apart from the containers of all others. */
export function apart(owner: string, { version, address }: ContainerAddress): Element {
  return { set: `apart${version}`, key: address, owner };
}

export type IngressPolicy = "same-bridge" | "isolated";

/** The elements that isolate one address of a container on `bridge`. */
export function isolated(
  owner: string,
  bridge: string,
  target: ContainerAddress,
  policy: IngressPolicy,
): Element[] {
  const kind = policy === "isolated" ? "strict" : "member";
  return [
    { set: "isolated", key: bridge, owner: "" },
    { set: `${kind}${target.version}`, key: concat(bridge, target.address), owner },
  ];
}
