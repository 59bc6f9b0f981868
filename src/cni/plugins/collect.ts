/**
 * GC of rules: those of attachments that the runtime does not know any more, in every backend. Of a rule it must be known
 * which network it is for. Masquerading says so, and leads to the published ports of the same container; iptables' chains
 * say it in a comment.
 */
import { fieldsOf, owner, prefix, sameValue } from "../../firewall/element.ts";
import { MASQUERADE } from "../../firewall/go-nftables.ts";
import { applyIptables, hasIptables, hasLegacyTable, type IptablesChange } from "../../firewall/iptables.ts";
import { HOSTPORT_CHAINS } from "../../firewall/iptables-rules.ts";
import { type ListedRule, rulesOf, rulesOfTable, tables, targetOf } from "../../firewall/listing.ts";
import { attachmentHash, chainComment, chainOf, networkHash } from "../../firewall/rule-owner.ts";
import { dropChain, rulesIn, type SavedTable, word } from "../../firewall/saved.ts";
import { Firewall, listElements } from "../../firewall/transaction.ts";
import { formatIP, networkOf, parseCidr } from "../../wire/addr.ts";
import { containerAddress } from "./address.ts";
import type { GcContext } from "./plugin.ts";

const owners = ({ network, valid }: GcContext) => valid.map(one => ({ network, ...one }));

/** Masquerading of the network's dead attachments, and the ports that are published for them. */
export function collectMasquerade(context: GcContext): void {
  // The kernel's rules are no older than the boot.
  if (context.before !== undefined) return;
  const kernel = new Firewall();
  collectElements(context);
  const live = new Set(owners(context).map(attachmentHash));
  const place = { ...MASQUERADE, chain: "masq_checks" };
  const stale = (rulesOf(kernel, place) ?? []).filter(
    rule => rule.comment?.startsWith(networkHash(context.network)) && !live.has(hashOf(rule)),
  );
  if (stale.length > 0) {
    const published = ["ip", "ip6"].flatMap(family => rulesOfTable(kernel, family, "cni_hostport"));
    for (const rule of stale) dropMasqueraded(context, rule, published);
  }
  collectChains(context, "");
}

/** Published ports of the network's dead attachments that masquerading does not lead to. */
export function collectPorts(context: GcContext): void {
  if (context.before === undefined) collectChains(context, "DN-");
}

const hashOf = (rule: ListedRule) => rule.comment!.split(",")[0]!;

/** The address that a masquerading rule is for. */
function addressOf(rule: ListedRule): string | undefined {
  const match = rule.expr[0]?.match as { right?: unknown } | undefined;
  return typeof match?.right === "string" ? match.right : undefined;
}

function dropMasqueraded(context: GcContext, rule: ListedRule, published: readonly ListedRule[]): void {
  const { network, firewall } = context;
  const address = addressOf(rule);
  const addresses = address ? [containerAddress(`${address}/${address.includes(":") ? 128 : 32}`)] : [];
  const [, ifName = "", start = ""] = /, if: (.*), id: (.*)$/.exec(rule.comment!) ?? [];
  const gone = { network, containerId: start, ifName };
  firewall.removeRules({ owner: gone, part: "masquerade", addresses, hash: hashOf(rule) });
  if (start === "" || !address) return;
  // The comment is cut at 128 bytes: the whole name stands at the ports.
  const ids = published.map(one => one.comment ?? "").filter(one => one.startsWith(start));
  for (const containerId of new Set(ids))
    firewall.removeRules({ owner: { ...gone, containerId }, part: "ports", addresses });
}

/** What our own table has for addresses of the network's subnets, where the configuration tells them. */
function collectElements({ conf, valid, firewall }: GcContext): void {
  const ipam = conf.ipam as { subnet?: string; ranges?: { subnet?: string }[][] } | undefined;
  const texts = [ipam?.subnet, ...(ipam?.ranges ?? []).flat().map(one => one.subnet)];
  const subnets = texts
    .flatMap(text => parseCidr(text ?? "") ?? [])
    .map(cidr => prefix(formatIP(networkOf(cidr)), cidr.prefix));
  const live = new Set(valid.map(one => owner(one.containerId, one.ifName)));
  for (const one of listElements(["near4", "near6"])) {
    const [, network] = fieldsOf(one.key);
    if (!live.has(one.owner) && subnets.some(subnet => network && sameValue(subnet, network)))
      firewall.remove(one.owner);
  }
}

/** Chains of iptables whose comments name the network and none of those that live. */
function collectChains(context: GcContext, kind: "" | "DN-"): void {
  const live = new Set(owners(context).map(one => chainOf(kind, one)));
  const entry = kind === "" ? "POSTROUTING" : HOSTPORT_CHAINS.dnat;
  const pattern = kind === "" ? /^CNI-[0-9a-f]{24}$/ : /^CNI-DN-/;
  // `name: "NET" id: `, as the comment of everybody in it begins, quoted for iptables-save.
  const begins = word(chainComment({ network: context.network, containerId: "", ifName: "" })).slice(1, -5);
  const lines = ({ nat }: { nat: SavedTable }) => {
    const stale = rulesIn(nat, entry)
      .filter(rule => rule.includes(begins))
      .map(rule => rule.slice(rule.lastIndexOf(" ") + 1))
      .filter(chain => pattern.test(chain) && !live.has(chain));
    return [...new Set(stale)].flatMap(chain => dropChain(nat, chain));
  };
  const kernel = new Firewall();
  const there = tables(kernel);
  for (const version of [4, 6] as const) {
    const change: IptablesChange = { version, table: "nat", lines };
    if (hasLegacyTable(version, "nat")) applyIptables([change], "legacy-");
    const place = { family: version === 4 ? "ip" : "ip6", table: "nat", chain: entry };
    const known = there.has(`${place.family} nat`) ? (rulesOf(kernel, place) ?? []) : [];
    if (known.some(rule => pattern.test(targetOf(rule) ?? "")) && hasIptables(version))
      context.firewall.addIptables(change);
  }
}
