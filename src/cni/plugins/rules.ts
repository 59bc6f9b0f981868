/**
 * Masquerading and published ports of an attachment, for the plugins that ask for them, in whichever way they are kept
 * (`../../firewall/README.md`). What is removed is removed in all ways, whoever put it there.
 */
import type { Backend } from "../../firewall/backend.ts";
import { owner } from "../../firewall/element.ts";
import { masqueradeRules, type PublishOptions, portRules } from "../../firewall/go-nftables.ts";
import { masqueradeLines, portLines } from "../../firewall/iptables-rules.ts";
import { isPortMap } from "../../firewall/layout.ts";
import { masqueraded } from "../../firewall/masquerade.ts";
import { type ContainerAddress, type PublishedPort, publish } from "../../firewall/ports.ts";
import type { Part, Removal, RuleOwner } from "../../firewall/rule-owner.ts";
import { CNI_ERROR, CniError } from "../types.ts";
import { addressesOf } from "./address.ts";
import type { PluginContext } from "./plugin.ts";

export const ruleOwner = ({ network, containerId, ifName }: RuleOwner): RuleOwner => ({
  network,
  containerId,
  ifName,
});
export const elementOwner = ({ containerId, ifName }: RuleOwner) => owner(containerId, ifName);

const BACKENDS: readonly Backend[] = ["portolan", "nftables", "iptables"];

/** What says which backend it is. */
export type Configured = Pick<PluginContext, "conf" | "backend">;

/** The backend that a key of the configuration names, or the caller's. Throws a CniError for an unknown one. */
export function backendOf(context: Configured, key: "backend" | "ipMasqBackend"): Backend {
  const named = context.conf[key] || (context.backend ?? "portolan");
  const backend = BACKENDS.find(one => one === named);
  if (backend) return backend;
  const what = key === "backend" ? "backend" : "ipmasq backend";
  throw new CniError(
    CNI_ERROR.INVALID_CONFIG,
    `${key === "backend" ? "unrecognized" : "unknown"} ${what} ${JSON.stringify(named)}`,
    `${key} can be nftables or iptables`,
  );
}

/** What leaves `addresses` for somewhere outside their networks will carry the host's address (`ipMasqBackend` says how). */
export function masquerade(context: PluginContext, addresses: readonly ContainerAddress[]): void {
  const { firewall } = context;
  const backend = backendOf(context, "ipMasqBackend");
  if (backend === "portolan")
    for (const one of addresses) firewall.add(...masqueraded(elementOwner(context), one));
  else if (backend === "nftables")
    firewall.addRules({ masquerade: masqueradeRules(ruleOwner(context), addresses) });
  else
    for (const version of [4, 6] as const) {
      const mine = addresses.filter(one => one.version === version);
      if (mine.length > 0)
        firewall.addIptables({
          version,
          table: "nat",
          lines: ({ nat }) => masqueradeLines(nat, ruleOwner(context), mine),
        });
    }
}

/** How ports are to be published. */
export interface Publishing extends PublishOptions {
  backend: Backend;
  /** iptables: the bit of a packet's mark that says "masquerade", or somebody else's chain that sets a mark. */
  markBit: number;
  externalSetMarkChain?: string;
}

/** The elements of our table that publish `ports` for an attachment. With `snat` false no client's address is replaced. */
export function portElements(
  context: PluginContext,
  targets: readonly ContainerAddress[],
  ports: readonly PublishedPort[],
  { snat }: Publishing,
) {
  const elements = targets.flatMap(one => publish(elementOwner(context), one, ports));
  return snat ? elements : elements.filter(one => isPortMap(one.set));
}

/** Sends `ports` of the host to the container's addresses, of which there is one a family. */
export function publishPorts(
  context: PluginContext,
  targets: readonly ContainerAddress[],
  ports: readonly PublishedPort[],
  how: Publishing,
): void {
  const { firewall } = context;
  if (how.backend === "portolan") firewall.add(...portElements(context, targets, ports, how));
  else
    for (const target of targets) {
      const { version } = target;
      if (how.backend === "nftables") {
        const rules = portRules(ruleOwner(context), target, ports, how);
        firewall.addRules({ ports: { 4: [], 6: [], [version]: rules } });
      } else
        firewall.addIptables({
          version,
          table: "nat",
          lines: ({ nat }) => portLines(nat, ruleOwner(context), target, ports, how),
        });
    }
}

/** Whose rules are to go; GC has no more of a context than this. */
export type Leaving = Pick<PluginContext, "network" | "containerId" | "ifName" | "firewall"> &
  Partial<Pick<PluginContext, "prevResult">>;

/** What the attachment has of a part will be gone, in every backend, once the firewall is committed. */
export function removePart(context: Leaving, part: Part, bridge?: Removal["bridge"]): void {
  context.firewall.remove(elementOwner(context));
  const addresses = knownAddresses(context);
  context.firewall.removeRules({ owner: ruleOwner(context), part, addresses, bridge });
}

/** The attachment's addresses, as far as the result that a DEL was given makes sense. */
export function knownAddresses({ prevResult, ifName }: Leaving): ContainerAddress[] {
  try {
    return prevResult ? addressesOf(prevResult, ifName) : [];
  } catch (error) {
    if (error instanceof CniError) return [];
    throw error;
  }
}

/** The attachment is masqueraded no more, once the firewall is committed; quiet where it was not. */
export const removeMasquerade = (context: Leaving) => removePart(context, "masquerade");
/** The attachment has no published ports any more, once the firewall is committed. */
export const removePorts = (context: Leaving) => removePart(context, "ports");
