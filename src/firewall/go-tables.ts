/** The tables of `go-nftables.ts` in the kernel: what is missing of them, and which rules are an attachment's. */

import { type NftRule, nftRules, speaksOf } from "../netlink/nft-rule.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import {
  familyOf,
  HOSTPORT,
  hostportLayout,
  MASQUERADE,
  MASQUERADE_LAYOUT,
  type NftablesRules,
} from "./go-nftables.ts";
import { deleteRule, rulesOf, targetOf } from "./listing.ts";
import { attachmentHash, bytesOf, portComment, type Removal } from "./rule-owner.ts";
import type { Firewall } from "./transaction.ts";

/** The text of one transaction that adds rules, and what they stand in where that is missing or another's. */
export function additions(firewall: Firewall, rules: NftablesRules): string {
  const lines: string[] = [];
  if (rules.masquerade.length > 0) {
    const base = rulesOf(firewall, { ...MASQUERADE, chain: "postrouting" });
    if (base?.length !== 3 || targetOf(base[2]!) !== "masq_checks") lines.push(MASQUERADE_LAYOUT);
    lines.push(...rules.masquerade);
  }
  for (const version of [4, 6] as const) {
    if (rules.ports[version].length === 0) continue;
    if (!isLaid(firewall, version)) lines.push(hostportLayout(version));
    lines.push(...rules.ports[version]);
  }
  return lines.join("\n");
}

/** Go's plugin writes its conditions at the head of the table, where they would narrow what ours publish as well. */
function isLaid(firewall: Firewall, version: 4 | 6): boolean {
  const place = { family: familyOf(version), table: HOSTPORT };
  const [entry, ...more] = rulesOf(firewall, { ...place, chain: "prerouting" }) ?? [];
  if (!entry || more.length > 0 || entry.expr.length !== 2 || targetOf(entry) !== "hostports_all")
    return false;
  return version === 6 || rulesOf(firewall, { ...place, chain: "loopback_guard" }) !== undefined;
}

/** The rules in Go's tables that go with `removals`. `there` is every table that exists. */
export function rulesToRemove(
  nl: NetlinkSocket,
  there: ReadonlySet<string>,
  removals: readonly Removal[],
): unknown[] {
  const found: NftRule[] = [];
  const masquerading = removals.filter(one => one.part === "masquerade");
  const hashes = masquerading.map(one => one.hash ?? attachmentHash(one.owner));
  if (hashes.length > 0 && there.has(`${MASQUERADE.family} ${MASQUERADE.table}`))
    for (const rule of nftRules(nl, { ...MASQUERADE, chain: "masq_checks" }, hashes))
      if (hashes.some(one => rule.comment.startsWith(one))) found.push(rule);
  const publishing = removals.filter(one => one.part === "ports");
  const comments = publishing.map(one => portComment(one.owner));
  if (publishing.length > 0)
    for (const version of [4, 6] as const)
      if (there.has(`${familyOf(version)} ${HOSTPORT}`))
        for (const rule of nftRules(nl, { family: familyOf(version), table: HOSTPORT }, comments))
          if (publishing.some(one => isPortOf(rule, version, one))) found.push(rule);
  return found.map(deleteRule);
}

/** Go's mark is the container alone; the address tells its networks apart. */
function isPortOf(rule: NftRule, version: 4 | 6, { owner, addresses }: Removal): boolean {
  if (rule.comment !== portComment(owner)) return false;
  if (addresses.length === 0) return true;
  return addresses.some(one => one.version === version && speaksOf(rule, bytesOf(one)));
}
