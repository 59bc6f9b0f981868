/**
 * What one ADD or DEL changes in the firewall: collected from all plugins of a chain, then made at once.
 */
import type { UserError } from "../base/errors.ts";
import { type NftRule, nftTables } from "../netlink/nft-rule.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { addCommands, deleteCommands, type Element, fieldsOf, sameValue } from "./element.ts";
import { closeCommands, gateCommands } from "./gate.ts";
import type { NftablesRules } from "./go-nftables.ts";
import { missingLayout, rulesToRemove } from "./go-tables.ts";
import { applyIptables, type IptablesChange } from "./iptables.ts";
import { chainsToRemove, removeLegacy } from "./iptables-removal.ts";
import { isPortMap } from "./layout.ts";
import { deleteRule } from "./listing.ts";
import { overlaps, portTaken } from "./ports.ts";
import type { Removal } from "./rule-owner.ts";
import { exclusively, Firewall, FirewallError } from "./transaction.ts";

export class FirewallBatch {
  #change: Change = nothing();
  #afterwards: ((netfilter: NetlinkSocket) => void)[] = [];

  /** Elements of our own table. */
  add(...elements: Element[]): void {
    this.#change.added.push(...elements);
  }

  /** Everything in our own table that belongs to `owner` will be gone. */
  remove(owner: string): void {
    this.#change.removed.add(owner);
  }

  /** Rules in the tables of Go's plugins. */
  addRules(rules: Partial<NftablesRules>): void {
    const { masquerade, ports } = this.#change.rules;
    masquerade.push(...(rules.masquerade ?? []));
    for (const version of [4, 6] as const) ports[version].push(...(rules.ports?.[version] ?? []));
  }

  /** Rules in iptables. */
  addIptables(change: IptablesChange): void {
    this.#change.iptables.push(change);
  }

  /** What an attachment has in the tables and chains of Go's plugins will be gone, before anything is added. */
  removeRules(removal: Removal): void {
    this.#change.removals.push(removal);
  }

  /** `step` runs once the changes are made, with a socket to the kernel's netfilter that stays open. */
  afterwards(step: (netfilter: NetlinkSocket) => void): void {
    this.#afterwards.push(step);
  }

  /**
   * Makes the changes and forgets them: removals of all kinds and additions to our table in one transaction, additions to
   * Go's tables in another, iptables last. Nothing has been added when it throws a UserError.
   */
  commit(): void {
    const [change, afterwards] = [this.#change, this.#afterwards];
    this.#change = nothing();
    this.#afterwards = [];
    if (!isNothing(change)) exclusively(firewall => apply(firewall, change));
    for (const step of afterwards) step(new Firewall().netlink());
  }
}

interface Change {
  added: Element[];
  removed: Set<string>;
  rules: NftablesRules;
  iptables: IptablesChange[];
  removals: Removal[];
}

const nothing = (): Change => ({
  added: [],
  removed: new Set(),
  rules: { masquerade: [], ports: { 4: [], 6: [] } },
  iptables: [],
  removals: [],
});

const isNothing = ({ added, removed, rules, iptables, removals }: Change) =>
  removed.size === 0 &&
  [added, iptables, removals, rules.masquerade, rules.ports[4], rules.ports[6]].every(
    one => one.length === 0,
  );

function apply(firewall: Firewall, change: Change): void {
  const { added, removed, rules, iptables, removals } = change;
  const make = () => {
    const commands = plan(firewall, added, removed);
    const { rules, chains } = planRemovals(firewall, removals);
    // Rules alone need no libnftables.
    if (commands.length === 0 && chains.length === 0) firewall.changeRules(rules, []);
    else firewall.apply([...commands, ...rules.map(deleteRule), ...chains]);
  };
  try {
    make();
  } catch (error) {
    if (!(error instanceof FirewallError)) throw error;
    if (error.kind === "taken") throw conflict(firewall, added) ?? error;
    if (error.kind !== "missing") throw error;
    // The table, or a rule that somebody else was removing too.
    if (added.length > 0) firewall.lay();
    make();
  }
  if (removals.length > 0) removeLegacy(removals);
  writeRules(firewall, rules);
  if (iptables.length > 0) applyIptables(iptables);
}

/** Adds rules to Go's tables, again where somebody emptied the ruleset meanwhile. */
function writeRules(firewall: Firewall, rules: NftablesRules): void {
  const all = [...rules.masquerade, ...rules.ports[4], ...rules.ports[6]];
  if (all.length === 0) return;
  const write = () => {
    const layout = missingLayout(firewall.netlink(), rules);
    const plain = all.flatMap(rule => rule.plain ?? []);
    if (layout === "" && plain.length === all.length) firewall.changeRules([], plain);
    else firewall.write([layout, ...all.map(rule => rule.text)].join("\n"));
  };
  try {
    write();
  } catch (error) {
    if (!(error instanceof FirewallError) || error.kind !== "missing") throw error;
    write();
  }
}

interface PlannedRemovals {
  rules: NftRule[];
  /** Commands, of chains in iptables. */
  chains: unknown[];
}

function planRemovals(firewall: Firewall, removals: readonly Removal[]): PlannedRemovals {
  if (removals.length === 0) return { rules: [], chains: [] };
  const nl = firewall.netlink();
  const there = nftTables(nl);
  return { rules: rulesToRemove(nl, there, removals), chains: chainsToRemove(nl, there, removals) };
}

/**
 * The commands for one change. Besides what is asked for, there go: bridges nobody is left on, the rule in the host's
 * filter with the last container that needs it, and a dead owner's elements of addresses now in use.
 */
function plan(firewall: Firewall, added: readonly Element[], removed: ReadonlySet<string>): unknown[] {
  if (added.length === 0 && removed.size === 0) return [];
  const old = removed.size > 0 ? firewall.elements() : firewall.found(added.filter(hasOneOwner));
  const leaves = (one: Element) => removed.has(one.owner) || added.some(other => replaces(other, one));
  const { gone = [], staying = [] } = Object.groupBy(old, one => (leaves(one) ? "gone" : "staying"));
  const kept = [...staying, ...added];
  if (removed.size > 0) {
    const used = new Set(
      kept.filter(one => /^(member|strict)/.test(one.set)).map(one => String(fieldsOf(one.key)[0])),
    );
    gone.push(...staying.filter(one => one.set === "isolated" && !used.has(String(one.key))));
  }
  return [
    ...deleteCommands(gone),
    ...addCommands(added),
    ...closeCommands(firewall, gone, kept),
    ...gateCommands(firewall, added),
  ];
}

/** True for what speaks of an address: that is one container's. */
const hasOneOwner = ({ set }: Element) => !isPortMap(set) && set !== "isolated";

/** An address is one container's: what the table says of it for another owner is left over from a crash. */
function replaces(one: Element, old: Element): boolean {
  return !isPortMap(one.set) && one.set === old.set && one.owner !== old.owner && sameValue(one.key, old.key);
}

/** Which of the published ports somebody else has. */
function conflict(firewall: Firewall, added: readonly Element[]): UserError | undefined {
  const maps = [...new Set(added.map(element => element.set))].filter(isPortMap);
  const others = firewall.elements(maps);
  for (const one of added) {
    const other = others.find(old => old.set === one.set && old.owner !== one.owner && overlaps(one, old));
    if (other) return portTaken(one, other);
  }
  return undefined;
}
