/**
 * Takes rules away that an attachment has in iptables, whoever made them. Those of its nftables variant stand in tables of
 * nftables, and go in the transaction of everything else, with no program run; those of the legacy variant cost a
 * run of it, where it has such a table at all.
 */

import { hasChain, leadsTo, nftRules, speaksOf, speaksOfInterface } from "../netlink/nft-rule.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { applyIptables, hasLegacyTable, type IptablesChange } from "./iptables.ts";
import { FORWARD_CHAIN, STAGES } from "./iptables-forward.ts";
import { HOSTPORT_CHAINS } from "./iptables-rules.ts";
import { deleteChain, deleteRule } from "./listing.ts";
import { bytesOf, chainOf, type Removal } from "./rule-owner.ts";
import { dropChain, rulesIn, type SavedTable, undo } from "./saved.ts";

/** The chains of an attachment in `nat`, each with those that lead to it. */
const chainsOf = ({ part, owner }: Removal): { chain: string; entries: string[] }[] => {
  if (part === "masquerade") return [{ chain: chainOf("", owner), entries: ["POSTROUTING"] }];
  if (part !== "ports") return [];
  return [
    { chain: chainOf("DN-", owner), entries: [HOSTPORT_CHAINS.dnat] },
    { chain: chainOf("SN-", owner), entries: [HOSTPORT_CHAINS.snat] },
  ];
};

/** Commands for libnftables. `there` is every table that exists. */
export function chainsToRemove(
  nl: NetlinkSocket,
  there: ReadonlySet<string>,
  removals: readonly Removal[],
): unknown[] {
  const commands: unknown[] = [];
  for (const family of ["ip", "ip6"] as const) {
    if (there.has(`${family} nat`))
      for (const { chain, entries } of removals.flatMap(chainsOf)) {
        const place = { family, table: "nat", chain };
        if (!hasChain(nl, place)) continue;
        for (const entry of entries)
          for (const rule of nftRules(nl, { ...place, chain: entry }, [chain]))
            if (leadsTo(rule, chain)) commands.push(deleteRule(rule));
        commands.push(...deleteChain(place));
      }
    const forward = removals.filter(one => one.part === "forward");
    if (forward.length === 0 || !there.has(`${family} filter`)) continue;
    const named = forward.flatMap(one => [
      ...one.addresses.map(bytesOf),
      ...(one.bridge ? [one.bridge.name] : []),
    ]);
    for (const chain of [FORWARD_CHAIN, ...STAGES])
      for (const rule of nftRules(nl, { family, table: "filter", chain }, named)) {
        const isGone = goesWith(
          chain,
          address => speaksOf(rule, bytesOf({ address })),
          bridge => speaksOfInterface(rule, bridge),
        );
        if (forward.some(isGone)) commands.push(deleteRule(rule));
      }
  }
  return commands;
}

/** Whether a rule of a filter chain goes with an attachment: by its addresses, or by a bridge that is empty without it. */
const goesWith =
  (chain: string, hasAddress: (address: string) => boolean, hasInterface: (name: string) => boolean) =>
  ({ addresses, bridge }: Removal): boolean =>
    chain === FORWARD_CHAIN
      ? addresses.some(one => hasAddress(one.address))
      : bridge !== undefined && hasInterface(bridge.name) && bridge.isEmpty();

/** What the legacy variant has of the attachments; nothing is run where it has no table. */
export function removeLegacy(removals: readonly Removal[]): void {
  const changes: IptablesChange[] = [];
  for (const version of [4, 6] as const) {
    const nat = removals.flatMap(chainsOf);
    if (nat.length > 0 && hasLegacyTable(version, "nat"))
      changes.push({
        version,
        table: "nat",
        lines: saved => nat.flatMap(({ chain }) => dropChain(saved.nat, chain)),
      });
    const forward = removals.filter(one => one.part === "forward");
    if (forward.length > 0 && hasLegacyTable(version, "filter"))
      changes.push({
        version,
        table: "filter",
        lines: saved => forwardRules(saved.filter, version, forward),
      });
  }
  applyIptables(changes, "legacy-");
}

function forwardRules(filter: SavedTable, version: 4 | 6, removals: readonly Removal[]): string[] {
  const length = version === 4 ? 32 : 128;
  return [FORWARD_CHAIN, ...STAGES].flatMap(chain =>
    rulesIn(filter, chain)
      .filter(rule => {
        const words = rule.split(" ");
        const hasAddress = (address: string) => words.includes(`${address}/${length}`);
        return removals.some(goesWith(chain, hasAddress, name => words.includes(name)));
      })
      .map(undo),
  );
}
