/**
 * What one ADD or DEL changes in the firewall: collected from all plugins of a chain, then made at once.
 */
import type { UserError } from "../base/errors.ts";
import { addCommands, deleteCommands, type Element, fieldsOf, sameValue } from "./element.ts";
import { closeCommands, gateCommands } from "./gate.ts";
import { isPortMap } from "./layout.ts";
import { overlaps, portTaken } from "./ports.ts";
import { exclusively, type Firewall, FirewallError } from "./transaction.ts";

export class FirewallBatch {
  #added: Element[] = [];
  #removed = new Set<string>();
  #afterwards: (() => void)[] = [];

  add(...elements: Element[]): void {
    this.#added.push(...elements);
  }

  /** Everything that belongs to `owner` will be gone. */
  remove(owner: string): void {
    this.#removed.add(owner);
  }

  /** `step` runs once the changes are made. */
  afterwards(step: () => void): void {
    this.#afterwards.push(step);
  }

  /** Makes the changes in one transaction and forgets them. Nothing has changed when it throws a UserError. */
  commit(): void {
    const [added, removed, afterwards] = [this.#added, this.#removed, this.#afterwards];
    this.#added = [];
    this.#removed = new Set();
    this.#afterwards = [];
    if (added.length > 0 || removed.size > 0) apply(added, removed);
    for (const step of afterwards) step();
  }
}

function apply(added: readonly Element[], removed: ReadonlySet<string>): void {
  exclusively(firewall => {
    try {
      firewall.apply(plan(firewall, added, removed));
    } catch (error) {
      if (!(error instanceof FirewallError)) throw error;
      if (error.kind === "taken") throw conflict(firewall, added) ?? error;
      if (error.kind !== "missing") throw error;
      firewall.lay();
      firewall.apply(plan(firewall, added, removed));
    }
  });
}

/**
 * The commands for one change. Besides what is asked for, there go: bridges nobody is left on, the rule in the host's
 * filter with the last container that needs it, and a dead owner's elements of addresses now in use.
 */
function plan(firewall: Firewall, added: readonly Element[], removed: ReadonlySet<string>): unknown[] {
  const old = firewall.elements(removed.size > 0 ? undefined : setsOfAddresses(added));
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

const setsOfAddresses = (elements: readonly Element[]) =>
  [...new Set(elements.map(one => one.set))].filter(set => !isPortMap(set) && set !== "isolated");

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
