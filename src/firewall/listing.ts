/** Chains and rules as libnftables lists them. */
import type { Firewall } from "./transaction.ts";

export interface Place {
  family: string;
  table: string;
  chain: string;
}

export interface ListedRule extends Place {
  handle: number;
  comment?: string;
  expr: Record<string, unknown>[];
}

interface Reply {
  nftables: { rule?: ListedRule; table?: { family: string; name: string } }[];
}

const rulesIn = (reply: string): ListedRule[] =>
  (JSON.parse(reply) as Reply).nftables.flatMap(one => (one.rule ? [one.rule] : []));

/** The rules of a chain; undefined where there is no such chain. */
export function rulesOf(firewall: Firewall, { family, table, chain }: Place): ListedRule[] | undefined {
  const reply = firewall.list(`chain ${family} ${table} ${chain}`);
  return reply === undefined ? undefined : rulesIn(reply);
}

/** The rules of all chains of a table. */
export function rulesOfTable(firewall: Firewall, family: string, table: string): ListedRule[] {
  const reply = firewall.list(`table ${family} ${table}`);
  return reply === undefined ? [] : rulesIn(reply);
}

/** Every table there is, as `ip nat`. */
export function tables(firewall: Firewall): Set<string> {
  const reply = JSON.parse(firewall.list("tables") ?? '{"nftables":[]}') as Reply;
  return new Set(reply.nftables.flatMap(({ table }) => (table ? [`${table.family} ${table.name}`] : [])));
}

/** The chain that a rule ends in, by jump or goto. */
export function targetOf(rule: ListedRule): string | undefined {
  const last = rule.expr.at(-1) as { jump?: { target: string }; goto?: { target: string } } | undefined;
  return (last?.jump ?? last?.goto)?.target;
}

/** True when the rule speaks of `address`, as what it compares with or sends to. */
export const mentions = (rule: ListedRule, address: string) =>
  JSON.stringify(rule.expr).includes(JSON.stringify(address));

export const deleteRule = ({ family, table, chain, handle }: Place & { handle: number }) => ({
  delete: { rule: { family, table, chain, handle } },
});

/** Commands that take a chain away with its rules; what leads to it must be gone. */
export const deleteChain = ({ family, table, chain }: Place) =>
  (["flush", "delete"] as const).map(verb => ({ [verb]: { chain: { family, table, name: chain } } }));
