/** Masquerading and published ports of an attachment, for the plugins that ask for them. */
import { owner } from "../../firewall/element.ts";
import { masqueraded } from "../../firewall/masquerade.ts";
import { type ContainerAddress, type PublishedPort, publish } from "../../firewall/ports.ts";
import type { PluginContext } from "./plugin.ts";

/** Whose rules are to go; GC has no more of a context than this. */
export type Removal = Pick<PluginContext, "network" | "containerId" | "ifName" | "firewall" | "backend">;

/** What leaves `addresses` for somewhere outside their networks will carry the host's address. */
export function masquerade(context: PluginContext, addresses: readonly ContainerAddress[]): void {
  const mine = owner(context.containerId, context.ifName);
  for (const one of addresses) context.firewall.add(...masqueraded(mine, one));
}

/** Sends `ports` of the host to the container's addresses, of which there is one a family. */
export function publishPorts(
  context: PluginContext,
  targets: readonly ContainerAddress[],
  ports: readonly PublishedPort[],
): void {
  const mine = owner(context.containerId, context.ifName);
  for (const one of targets) context.firewall.add(...publish(mine, one, ports));
}

/** The attachment is masqueraded no more, once the firewall is committed; quiet where it was not. */
export function removeMasquerade(context: Removal): void {
  context.firewall.remove(owner(context.containerId, context.ifName));
}

/** The attachment has no published ports any more, once the firewall is committed. */
export function removePorts(context: Removal): void {
  context.firewall.remove(owner(context.containerId, context.ifName));
}
