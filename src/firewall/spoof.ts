/**
 * A guard against forged hardware addresses: what a container's port of a bridge sends must bear the container's own.
 *
 * Table, chains, rules and comments are those of Go's bridge plugin (`macspoofchk`), so that each can take away what the other
 * made: `bridge nat` with a base chain PREROUTING, and two chains an attachment, `cni-br-iface-ID` and `cni-br-iface-ID-mac`.
 */
import { exclusively, type Firewall } from "./transaction.ts";

const TABLE = { family: "bridge", table: "nat" } as const;
const BASE = "PREROUTING";

/** An attachment as Go's plugin names it there. */
const idOf = (containerId: string, ifName: string) => `${containerId}-${ifName}`;
const chainsOf = (id: string) => [`cni-br-iface-${id}`, `cni-br-iface-${id}-mac`] as const;
const commentOf = (id: string) => `macspoofchk-${id}`;

interface Listed {
  nftables: { rule?: { comment?: string; handle: number }; chain?: { name: string } }[];
}

const jump = (target: string) => ({ jump: { target } });
const match = (left: object, right: string) => ({ match: { op: "==", left, right } });

/** Rules of the base chain that are an attachment's. */
function baseRules(firewall: Firewall, id: string): { handle: number }[] {
  const reply = firewall.list(`chain ${TABLE.family} ${TABLE.table} ${BASE}`);
  const listed = reply === undefined ? [] : (JSON.parse(reply) as Listed).nftables;
  return listed.flatMap(({ rule }) => (rule?.comment === commentOf(id) ? [rule] : []));
}

const removeRules = (rules: readonly { handle: number }[]) =>
  rules.map(({ handle }) => ({ delete: { rule: { ...TABLE, chain: BASE, handle } } }));

/** Drops what comes in by `port` from another hardware address than `mac`. What was there for the attachment goes. */
export function guardMac(containerId: string, ifName: string, port: string, mac: string): void {
  const id = idOf(containerId, ifName);
  const [faceChain, macChain] = chainsOf(id);
  const chain = (name: string, more: object = {}) => ({ chain: { ...TABLE, name, ...more } });
  const rule = (where: string, ...expr: object[]) => ({
    add: { rule: { ...TABLE, chain: where, expr, comment: commentOf(id) } },
  });
  exclusively(firewall =>
    firewall.apply([
      { add: { table: { family: TABLE.family, name: TABLE.table } } },
      { add: chain(BASE, { type: "filter", hook: "prerouting", prio: -300, policy: "accept" }) },
      ...removeRules(baseRules(firewall, id)),
      ...[faceChain, macChain].flatMap(name => [{ add: chain(name) }, { flush: chain(name) }]),
      rule(BASE, match({ meta: { key: "iifname" } }, port), jump(faceChain)),
      rule(faceChain, jump(macChain)),
      rule(macChain, match({ payload: { protocol: "ether", field: "saddr" } }, mac), { return: null }),
      rule(macChain, { drop: null }),
    ]),
  );
}

/** Takes the guard away; table and base chain stay, as Go's plugin leaves them. Quiet where there is none. */
export function unguardMac(containerId: string, ifName: string): void {
  const id = idOf(containerId, ifName);
  exclusively(firewall => {
    const own = chainsOf(id).filter(name => firewall.list(`chain ${TABLE.family} ${TABLE.table} ${name}`));
    const rules = baseRules(firewall, id);
    firewall.apply([
      ...removeRules(rules),
      ...own.map(name => ({ flush: { chain: { ...TABLE, name } } })),
      ...own.map(name => ({ delete: { chain: { ...TABLE, name } } })),
    ]);
  });
}
