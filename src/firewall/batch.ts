/**
 * What one ADD or DEL changes in the firewall: collected from all plugins of a chain, then made at once.
 */
import type { UserError } from "../base/errors.ts";
import { addCommands, deleteCommands, type Element, fieldsOf, sameValue } from "./element.ts";
import { gateCommands } from "./gate.ts";
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
    const gone = leaving(firewall, added, removed);
    const commands = [...deleteCommands(gone), ...addCommands(added), ...gateCommands(firewall, added)];
    try {
      firewall.apply(commands);
    } catch (error) {
      if (!(error instanceof FirewallError)) throw error;
      if (error.kind === "taken") throw conflict(firewall, added) ?? error;
      if (error.kind !== "missing") throw error;
      firewall.lay();
      firewall.apply(commands);
    }
  });
}

/** Elements to delete: those of removed owners, bridges nobody is left on, and a dead owner's of addresses now in use. */
function leaving(firewall: Firewall, added: readonly Element[], removed: ReadonlySet<string>): Element[] {
  if (removed.size === 0) {
    const sets = [...new Set(added.map(element => element.set))].filter(
      set => !isPortMap(set) && set !== "isolated",
    );
    return firewall.elements(sets).filter(old => added.some(one => replaces(one, old)));
  }
  const all = firewall.elements();
  const gone = all.filter(old => removed.has(old.owner) || added.some(one => replaces(one, old)));
  const bridges = new Set(
    [...all.filter(old => !gone.includes(old)), ...added]
      .filter(one => /^(member|strict)/.test(one.set))
      .map(one => String(fieldsOf(one.key)[0])),
  );
  return gone.concat(all.filter(old => old.set === "isolated" && !bridges.has(String(old.key))));
}

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
