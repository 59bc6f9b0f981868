/** Whether an attachment's ports are still published, by whichever backend. */
import type { Backend } from "../../firewall/backend.ts";
import { sameValue } from "../../firewall/element.ts";
import { familyOf, HOSTPORT } from "../../firewall/go-nftables.ts";
import { hasIptables, savedRules } from "../../firewall/iptables.ts";
import { HOSTPORT_CHAINS, portChain } from "../../firewall/iptables-rules.ts";
import { type ListedRule, mentions, rulesOfTable } from "../../firewall/listing.ts";
import type { ContainerAddress, PublishedPort } from "../../firewall/ports.ts";
import { chainOf, portComment } from "../../firewall/rule-owner.ts";
import { leadsTo } from "../../firewall/saved.ts";
import { Firewall, listElements } from "../../firewall/transaction.ts";
import type { PluginContext } from "./plugin.ts";
import { elementOwner, type Publishing, portElements, ruleOwner } from "./rules.ts";

type Look = (
  context: PluginContext,
  target: ContainerAddress,
  ports: readonly PublishedPort[],
  how: Publishing,
) => PublishedPort | undefined;

const inPortolan: Look = (context, target, ports, how) => {
  const mine = elementOwner(context);
  const there = listElements().filter(one => one.owner === mine);
  return ports.find(port =>
    portElements(context, [target], [port], how).some(
      wanted => !there.some(one => one.set === wanted.set && sameValue(one.key, wanted.key)),
    ),
  );
};

const inNftables: Look = (context, target, ports, how) => {
  const comment = portComment(ruleOwner(context));
  const there = rulesOfTable(new Firewall(), familyOf(target.version), HOSTPORT).filter(
    rule => rule.comment === comment && mentions(rule, target.address),
  );
  const masquerades = there.some(rule => rule.chain === "masquerading");
  return ports.find(
    port =>
      (how.snat && !masquerades) || !there.some(rule => rule.chain !== "masquerading" && takes(rule, port)),
  );
};

/** True for a rule that takes what is sent to the port (or the range) of the host. */
function takes(rule: ListedRule, { hostPort, count }: PublishedPort): boolean {
  const wanted = count === 1 ? hostPort : { range: [hostPort, hostPort + count - 1] };
  return rule.expr.some(one => {
    const match = one.match as { left?: { payload?: { field?: string } }; right?: unknown } | undefined;
    return match?.left?.payload?.field === "dport" && JSON.stringify(match.right) === JSON.stringify(wanted);
  });
}

const inIptables: Look = (context, target, ports, how) => {
  if (!hasIptables(target.version)) return ports[0];
  const { nat } = savedRules(target.version);
  const owner = ruleOwner(context);
  if (!leadsTo(nat, HOSTPORT_CHAINS.dnat, chainOf("DN-", owner))) return ports[0];
  return ports.find(port => portChain(owner, target, [port], how).some(rule => !nat.rules.includes(rule)));
};

const LOOKS: Record<Backend, Look> = { portolan: inPortolan, nftables: inNftables, iptables: inIptables };

/** A port that no backend publishes; undefined where one of them has them all. The one that is configured is asked first. */
export function findUnpublished(
  context: PluginContext,
  targets: readonly ContainerAddress[],
  ports: readonly PublishedPort[],
  how: Publishing,
): PublishedPort | undefined {
  const missing = (backend: Backend) => {
    for (const target of targets) {
      const served = ports.filter(port => port.host === undefined || port.host.version === target.version);
      const one = served.length > 0 ? LOOKS[backend](context, target, served, how) : undefined;
      if (one) return one;
    }
    return undefined;
  };
  const others = (["portolan", "nftables", "iptables"] as const).filter(one => one !== how.backend);
  const first = missing(how.backend);
  return first && others.every(one => missing(one)) ? first : undefined;
}
