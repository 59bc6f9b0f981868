/**
 * The gate: forwarding, and names, on hosts whose iptables filter drops what it does not know (Docker and ufw set that policy).
 *
 * No verdict of our table can overrule that drop. So our table marks the containers' packets (`forwarded*` in
 * `layout.ts`: what they send, answers to it, and connections to published ports; and what they ask the host's resolvers), and
 * one rule at the head of `filter` FORWARD, and of INPUT, accepts marked packets. It is one that iptables-nft shows as its own;
 * it goes with the last container, and chains without the policy get none, hosts without it no marks.
 */
import type { Element } from "./element.ts";
import { GATE_MARK } from "./layout.ts";
import type { ContainerAddress } from "./ports.ts";
import type { Firewall } from "./transaction.ts";

const COMMENT = "portolan";
/** Where packets of containers are dropped: on their way through, and to the host. */
const CHAINS = ["FORWARD", "INPUT"] as const;
type Chain = (typeof CHAINS)[number];

const place = (version: 4 | 6, chain: Chain) => ({
  family: version === 4 ? "ip" : "ip6",
  table: "filter",
  chain,
});

interface Listed {
  nftables: { chain?: { policy?: string }; rule?: { comment?: string; handle: number } }[];
}

function listed(firewall: Firewall, version: 4 | 6, chain: Chain): Listed["nftables"] {
  const { family, table } = place(version, chain);
  const reply = firewall.list(`chain ${family} ${table} ${chain}`);
  return reply === undefined ? [] : (JSON.parse(reply) as Listed).nftables;
}

const drops = (list: Listed["nftables"]) => list.some(one => one.chain?.policy === "drop");

/** True where the host's filter drops forwarded packets of a family unless a rule accepts them. */
export function isClosed(firewall: Firewall, version: 4 | 6): boolean {
  return drops(listed(firewall, version, "FORWARD"));
}

/** True where it drops these, or what comes to the host itself: containers then need marks. */
export function isGuarded(firewall: Firewall, version: 4 | 6): boolean {
  return CHAINS.some(chain => drops(listed(firewall, version, chain)));
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
      CHAINS.flatMap(chain =>
        listed(firewall, version, chain)
          .filter(one => one.rule?.comment === COMMENT)
          .map(one => ({ delete: { rule: { ...place(version, chain), handle: one.rule!.handle } } })),
      ),
    );
}

/** Commands that let marked packets of the families in `added` through, where no rule does yet. */
export function gateCommands(firewall: Firewall, added: readonly Element[]): unknown[] {
  return ([4, 6] as const)
    .filter(version => added.some(one => one.set === `forwarded${version}`))
    .flatMap(version =>
      CHAINS.filter(chain => {
        const list = listed(firewall, version, chain);
        return drops(list) && !list.some(one => one.rule?.comment === COMMENT);
      }).map(chain => {
        const left = { "&": [{ meta: { key: "mark" } }, GATE_MARK] };
        const expr = [{ match: { op: "==", left, right: GATE_MARK } }, { accept: null }];
        return { insert: { rule: { ...place(version, chain), comment: COMMENT, expr } } };
      }),
    );
}
