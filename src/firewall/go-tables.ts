/** The tables of `go-nftables.ts` in the kernel: what is missing of them, and which rules are an attachment's. */

import { expressionsIn, hasChain, leadsTo, type NftRule, nftRules, speaksOf } from "../netlink/nft-rule.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import {
  familyOf,
  HOSTPORT,
  hostportLayout,
  MASQUERADE,
  MASQUERADE_LAYOUT,
  type NftablesRules,
} from "./go-nftables.ts";
import { attachmentHash, bytesOf, portComment, type Removal } from "./rule-owner.ts";

/**
 * The text that lays what `rules` stand in, where that is missing or another's; "" where all is there.
 */
export function missingLayout(nl: NetlinkSocket, rules: NftablesRules): string {
  const versions = ([4, 6] as const).filter(version => rules.ports[version].length > 0);
  return [
    ...(rules.masquerade.length > 0 && !isMasqueradeLaid(nl) ? [MASQUERADE_LAYOUT] : []),
    ...versions.filter(version => !isHostportLaid(nl, version)).map(hostportLayout),
  ].join("\n");
}

function isMasqueradeLaid(nl: NetlinkSocket): boolean {
  const base = nftRules(nl, { ...MASQUERADE, chain: "postrouting" });
  return base.length === 3 && leadsTo(base[2]!, "masq_checks");
}

/** `fib daddr type local jump hostports_all`: a load, a comparison, a jump. */
const ENTRY_EXPRESSIONS = 3;

/** Go's plugin writes its conditions at the head of the table, where they would narrow what ours publish as well. */
function isHostportLaid(nl: NetlinkSocket, version: 4 | 6): boolean {
  const place = { family: familyOf(version), table: HOSTPORT };
  const [entry, ...more] = nftRules(nl, { ...place, chain: "prerouting" });
  if (!entry || more.length > 0 || expressionsIn(entry) !== ENTRY_EXPRESSIONS) return false;
  if (!leadsTo(entry, "hostports_all")) return false;
  return version === 6 || hasChain(nl, { ...place, chain: "loopback_guard" });
}

/** The rules in Go's tables that go with `removals`. `there` is every table that exists. */
export function rulesToRemove(
  nl: NetlinkSocket,
  there: ReadonlySet<string>,
  removals: readonly Removal[],
): NftRule[] {
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
  return found;
}

/** Go's mark is the container alone; the address tells its networks apart. */
function isPortOf(rule: NftRule, version: 4 | 6, { owner, addresses }: Removal): boolean {
  if (rule.comment !== portComment(owner)) return false;
  if (addresses.length === 0) return true;
  return addresses.some(one => one.version === version && speaksOf(rule, bytesOf(one)));
}
