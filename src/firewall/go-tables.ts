/** The tables of `go-nftables.ts` in the kernel: what is missing of them, and which rules are an attachment's. */
import {
  familyOf,
  HOSTPORT,
  hostportLayout,
  MASQUERADE,
  MASQUERADE_LAYOUT,
  type NftablesRules,
} from "./go-nftables.ts";
import { deleteRule, type ListedRule, mentions, rulesOf, rulesOfTable, targetOf } from "./listing.ts";
import { attachmentHash, portComment, type Removal } from "./rule-owner.ts";
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
  firewall: Firewall,
  there: ReadonlySet<string>,
  removals: readonly Removal[],
): unknown[] {
  const found = new Set<ListedRule>();
  const masquerading = removals.filter(one => one.part === "masquerade");
  const hashes = masquerading.map(one => one.hash ?? attachmentHash(one.owner));
  if (hashes.length > 0 && there.has(`${MASQUERADE.family} ${MASQUERADE.table}`))
    for (const rule of rulesOf(firewall, { ...MASQUERADE, chain: "masq_checks" }) ?? [])
      if (hashes.some(one => rule.comment?.startsWith(one))) found.add(rule);
  const publishing = removals.filter(one => one.part === "ports");
  if (publishing.length > 0)
    for (const version of [4, 6] as const)
      if (there.has(`${familyOf(version)} ${HOSTPORT}`))
        for (const rule of rulesOfTable(firewall, familyOf(version), HOSTPORT))
          if (publishing.some(one => isPortOf(rule, version, one))) found.add(rule);
  return [...found].map(deleteRule);
}

/** Go's mark is the container alone; the address tells its networks apart. */
function isPortOf(rule: ListedRule, version: 4 | 6, { owner, addresses }: Removal): boolean {
  if (rule.comment !== portComment(owner)) return false;
  const own = addresses.filter(one => one.version === version);
  return addresses.length === 0 || own.some(one => mentions(rule, one.address));
}
