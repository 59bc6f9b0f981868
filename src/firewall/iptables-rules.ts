/**
 * The chains that Go's plugins make in iptables (measured at v1.1.1 and v1.9.1), as lines for iptables-restore(8): what of
 * them is there already says `Saved`. Pure. Names are those of Go's, so that a plugin of either make takes away what the
 * other's put there.
 */
import type { ContainerAddress, PublishedPort } from "./ports.ts";
import { chainComment, chainOf, type RuleOwner } from "./rule-owner.ts";
import { declare, leadsTo, rulesIn, type SavedTable, undo, word } from "./saved.ts";

export const HOSTPORT_CHAINS = {
  dnat: "CNI-HOSTPORT-DNAT",
  setMark: "CNI-HOSTPORT-SETMARK",
  masquerade: "CNI-HOSTPORT-MASQ",
  /** Before v0.8. */
  snat: "CNI-HOSTPORT-SNAT",
} as const;

const full = (version: 4 | 6) => (version === 4 ? 32 : 128);
const network = ({ network: { address, length } }: ContainerAddress) => `${address}/${length}`;
const comment = (text: string) => `-m comment --comment ${word(text)}`;

/** Masquerading of an attachment's addresses of one family. */
export function masqueradeLines(
  nat: SavedTable,
  owner: RuleOwner,
  list: readonly ContainerAddress[],
): string[] {
  const chain = chainOf("", owner);
  const why = comment(chainComment(owner));
  const { version } = list[0]!;
  const entries = list.map(one => `-A POSTROUTING -s ${one.address}/${full(version)} ${why} -j ${chain}`);
  return [
    // Named, a chain of our own is emptied where it was there.
    `:${chain} - [0:0]`,
    ...list.map(one => `-A ${chain} -d ${network(one)} ${why} -j ACCEPT`),
    `-A ${chain} ! -d ${version === 4 ? "224.0.0.0/4" : "ff00::/8"} ${why} -j MASQUERADE`,
    ...entries.filter(rule => !nat.rules.includes(rule)),
  ];
}

export interface IptablesPublishing {
  snat: boolean;
  masqueradeAll: boolean;
  /** The bit of the packet's mark that says "masquerade", 0 to 31. */
  markBit: number;
  /** A chain of somebody else's that sets his mark; then none of ours is made. */
  externalSetMarkChain?: string;
  conditions: { 4: readonly string[]; 6: readonly string[] };
}

/** The chains that all attachments share. */
function sharedLines(nat: SavedTable, options: IptablesPublishing): string[] {
  const { dnat, setMark, masquerade } = HOSTPORT_CHAINS;
  const lines = declare(nat, dnat);
  for (const hook of ["PREROUTING", "OUTPUT"])
    if (!leadsTo(nat, hook, dnat)) lines.push(`-A ${hook} -m addrtype --dst-type LOCAL -j ${dnat}`);
  if (!options.snat || options.externalSetMarkChain) return lines;
  const bit = `0x${(2 ** options.markBit).toString(16)}`;
  const sets = `-A ${setMark} ${comment("CNI portfwd masquerade mark")} -j MARK --set-xmark ${bit}/${bit}`;
  const masquerades = `-A ${masquerade} -m mark --mark ${bit}/${bit} -j MASQUERADE`;
  lines.push(...declare(nat, setMark), ...declare(nat, masquerade));
  if (!nat.rules.includes(sets)) lines.push(sets);
  if (!nat.rules.includes(masquerades)) lines.push(masquerades);
  // First, or the chains of single attachments would accept what is marked.
  if (!leadsTo(nat, "POSTROUTING", masquerade))
    lines.push(`-I POSTROUTING 1 ${comment("CNI portfwd requiring masquerade")} -j ${masquerade}`);
  return lines;
}

/** iptables' multiport takes 15 ports; a range is two of them. */
const MULTIPORT = 15;

function portLists(ports: readonly PublishedPort[]): string[] {
  const lists: { text: string[]; room: number }[] = [];
  for (const { hostPort, count } of ports) {
    const size = count === 1 ? 1 : 2;
    if ((lists.at(-1)?.room ?? 0) < size) lists.push({ text: [], room: MULTIPORT });
    const list = lists.at(-1)!;
    list.text.push(count === 1 ? `${hostPort}` : `${hostPort}:${hostPort + count - 1}`);
    list.room -= size;
  }
  return lists.map(list => list.text.join(","));
}

/** Each port on its own where a range's ports have other numbers in the container. */
const unshifted = (port: PublishedPort): PublishedPort[] =>
  port.count === 1 || port.hostPort === port.containerPort
    ? [port]
    : Array.from({ length: port.count }, (_, index) => ({
        ...port,
        hostPort: port.hostPort + index,
        containerPort: port.containerPort + index,
        count: 1,
      }));

const servedBy = (target: ContainerAddress, ports: readonly PublishedPort[]) =>
  ports.filter(port => port.host === undefined || port.host.version === target.version);

/** The rules of an attachment's chain of published ports, as iptables-save prints them. */
export function portChain(
  owner: RuleOwner,
  target: ContainerAddress,
  ports: readonly PublishedPort[],
  options: IptablesPublishing,
): string[] {
  const { version, address } = target;
  const chain = chainOf("DN-", owner);
  const setMark = options.externalSetMarkChain ?? HOSTPORT_CHAINS.setMark;
  const near = [network(target), ...(version === 4 ? ["127.0.0.1/32"] : [])];
  const sources = options.masqueradeAll ? [""] : near.map(one => `-s ${one} `);
  return servedBy(target, ports)
    .flatMap(unshifted)
    .flatMap(({ protocol, hostPort, containerPort, count, host }) => {
      const to = host?.address ? `-d ${host.address}/${full(version)} ` : "";
      const range = count === 1 ? `${hostPort}` : `${hostPort}:${hostPort + count - 1}`;
      const match = `${to}-p ${protocol} -m ${protocol} --dport ${range}`;
      const one = version === 6 ? `[${address}]:${containerPort}` : `${address}:${containerPort}`;
      return [
        ...(options.snat ? sources.map(source => `-A ${chain} ${source}${match} -j ${setMark}`) : []),
        `-A ${chain} ${match} -j DNAT --to-destination ${count === 1 ? one : address}`,
      ];
    });
}

/** Published ports of one address. */
export function portLines(
  nat: SavedTable,
  owner: RuleOwner,
  target: ContainerAddress,
  ports: readonly PublishedPort[],
  options: IptablesPublishing,
): string[] {
  const chain = chainOf("DN-", owner);
  if (servedBy(target, ports).length === 0) return [];
  const why = comment(`dnat ${chainComment(owner)}`.slice(0, 255));
  const conditions = options.conditions[target.version].map(one => ` ${word(one)}`).join("");
  // As Go's: also the ports of the other family, which nothing in the chain then takes.
  const byProtocol = Object.entries(Object.groupBy(ports, port => port.protocol)).toSorted(([a], [b]) =>
    a < b ? -1 : 1,
  );
  const entries = byProtocol.flatMap(([protocol, list]) =>
    portLists(list).map(
      text => `-p ${protocol} ${why} -m multiport --dports ${text}${conditions} -j ${chain}`,
    ),
  );
  const stale = rulesIn(nat, HOSTPORT_CHAINS.dnat).filter(rule => rule.endsWith(` -j ${chain}`));
  return [
    ...sharedLines(nat, options),
    `:${chain} - [0:0]`,
    ...portChain(owner, target, ports, options),
    ...stale.map(undo),
    // At the head: who comes last has the port.
    ...entries.toReversed().map(entry => `-I ${HOSTPORT_CHAINS.dnat} 1 ${entry}`),
  ];
}
