/** The chains of Go's firewall plugin in iptables' filter, as lines for iptables-restore(8). Pure. */

import type { IngressPolicy } from "./isolation.ts";
import type { ContainerAddress } from "./ports.ts";
import { declare, leadsTo, type SavedTable, word } from "./saved.ts";

export const FORWARD_CHAIN = "CNI-FORWARD";
export const STAGES = ["CNI-ISOLATION-STAGE-1", "CNI-ISOLATION-STAGE-2"] as const;

const OF_POLICIES = "CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)";
const comment = (text: string) => `-m comment --comment ${word(text)}`;

/** Lets through what a container's addresses of one family send, and the answers, after the chain of the administrator. */
export function forwardLines(
  filter: SavedTable,
  list: readonly ContainerAddress[],
  adminChain: string,
): string[] {
  const lines = [...declare(filter, FORWARD_CHAIN), ...declare(filter, adminChain)];
  if (!leadsTo(filter, "FORWARD", FORWARD_CHAIN))
    lines.push(`-I FORWARD 1 ${comment("CNI firewall plugin rules")} -j ${FORWARD_CHAIN}`);
  if (!leadsTo(filter, FORWARD_CHAIN, adminChain))
    lines.push(`-I ${FORWARD_CHAIN} 1 ${comment("CNI firewall plugin admin overrides")} -j ${adminChain}`);
  const rules = list.flatMap(({ version, address }) => {
    const one = `${address}/${version === 4 ? 32 : 128}`;
    return [
      `-A ${FORWARD_CHAIN} -d ${one} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
      `-A ${FORWARD_CHAIN} -s ${one} -j ACCEPT`,
    ];
  });
  return [...lines, ...rules.filter(rule => !filter.rules.includes(rule))];
}

/** A rule without its comment, which differs between versions of Go's plugin. */
const uncommented = (rule: string) => rule.replace(/ -m comment --comment "[^"]*"/, "");

/** Keeps other bridges out of `bridge`, and with `isolated` its containers out of each other. */
export function isolationLines(filter: SavedTable, bridge: string, policy: IngressPolicy): string[] {
  const [first, second] = STAGES;
  const why = comment(OF_POLICIES);
  const lines = [...declare(filter, first), ...declare(filter, second)];
  if (!leadsTo(filter, "FORWARD", first)) lines.push(`-I FORWARD 1 ${why} -j ${first}`);
  const there = filter.rules.map(uncommented);
  const insert = (chain: string, rule: string) => {
    if (!there.includes(uncommented(`-A ${chain} ${rule}`))) lines.push(`-I ${chain} 1 ${rule}`);
  };
  const mine = comment(`CNI firewall plugin rules (ingressPolicy: ${policy})`);
  insert(first, `-i ${bridge} ! -o ${bridge} ${mine} -j ${second}`);
  if (policy === "isolated") insert(first, `-i ${bridge} -o ${bridge} ${mine} -j DROP`);
  if (!leadsTo(filter, first, "RETURN")) lines.push(`-A ${first} ${why} -j RETURN`);
  insert(second, `-o ${bridge} ${why} -j DROP`);
  if (!leadsTo(filter, second, "RETURN")) lines.push(`-A ${second} ${why} -j RETURN`);
  return lines;
}
