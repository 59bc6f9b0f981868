/**
 * The gate: forwarding on hosts whose iptables filter drops what it does not know (Docker and ufw set that policy).
 *
 * No verdict of our table can overrule that drop. So our table marks the containers' packets (`forwarded*` in
 * `layout.ts`: what they send, answers to it, and connections to published ports), and one rule at the head of
 * `filter` FORWARD accepts marked packets. It is one that iptables-nft shows as its own; it goes with the last container,
 * and hosts without the policy get neither rule nor marks.
 */
import type { Element } from "./element.ts";
import { GATE_MARK } from "./layout.ts";
import type { ContainerAddress } from "./ports.ts";
import type { Firewall } from "./transaction.ts";

const COMMENT = "portolan";
const place = (version: 4 | 6) => ({
  family: version === 4 ? "ip" : "ip6",
  table: "filter",
  chain: "FORWARD",
});

interface Listed {
  nftables: { chain?: { policy?: string }; rule?: { comment?: string; handle: number } }[];
}

function forwardChain(firewall: Firewall, version: 4 | 6): Listed["nftables"] {
  const { family, table, chain } = place(version);
  const reply = firewall.list(`chain ${family} ${table} ${chain}`);
  return reply === undefined ? [] : (JSON.parse(reply) as Listed).nftables;
}

/** True where the host's filter drops forwarded packets of a family unless a rule accepts them. */
export function isClosed(firewall: Firewall, version: 4 | 6): boolean {
  return forwardChain(firewall, version).some(one => one.chain?.policy === "drop");
}

/** The element that marks the packets of one address of a container. */
export function forwarded(owner: string, { version, address }: ContainerAddress): Element {
  return { set: `forwarded${version}`, key: address, owner };
}

/** Commands that take the rule away where none of the containers that it was for is among those `staying`. */
export function closeCommands(
  firewall: Firewall,
  gone: readonly Element[],
  staying: readonly Element[],
): unknown[] {
  return ([4, 6] as const)
    .filter(version => gone.some(one => one.set === `forwarded${version}`))
    .filter(version => !staying.some(one => one.set === `forwarded${version}`))
    .flatMap(version =>
      forwardChain(firewall, version)
        .filter(one => one.rule?.comment === COMMENT)
        .map(one => ({ delete: { rule: { ...place(version), handle: one.rule!.handle } } })),
    );
}

/** Commands that let marked packets of the families in `added` through, where no rule does yet. */
export function gateCommands(firewall: Firewall, added: readonly Element[]): unknown[] {
  return ([4, 6] as const)
    .filter(version => added.some(one => one.set === `forwarded${version}`))
    .filter(version => !forwardChain(firewall, version).some(one => one.rule?.comment === COMMENT))
    .map(version => {
      const left = { "&": [{ meta: { key: "mark" } }, GATE_MARK] };
      const expr = [{ match: { op: "==", left, right: GATE_MARK } }, { accept: null }];
      return { insert: { rule: { ...place(version), comment: COMMENT, expr } } };
    });
}
