/**
 * The tables that Go's plugins make since v1.6 (measured at v1.9.1): `inet cni_plugins_masquerade` and `ip`/`ip6`
 * `cni_hostport`, in nft's own language, and plain rules in the kernel's as well. Pure. A rule each for each attachment and port, which a plugin of either make
 * finds by its comment.
 *
 * Three rules are ours: a container reaches a port that its neighbour publishes (Go's translates the way there, and the
 * answer goes past us), `::1` is not published (no answer would come back), and `route_localnet`, which published ports need,
 * opens the host's loopback addresses to nobody.
 */
import {
  hasAddress,
  isOfFamily,
  isToPort,
  isTranslated,
  masquerade,
  type NewNftRule,
  translateTo,
} from "../netlink/nft-new-rule.ts";
import { parseIP } from "../wire/addr.ts";
import { type ContainerAddress, PROTOCOL_NUMBER, type PublishedPort } from "./ports.ts";
import { bytesOf, masqueradeComment, portComment, type RuleOwner } from "./rule-owner.ts";

export const MASQUERADE = { family: "inet", table: "cni_plugins_masquerade" } as const;
export const HOSTPORT = "cni_hostport";
export const familyOf = (version: 4 | 6): "ip" | "ip6" => (version === 4 ? "ip" : "ip6");

export interface GoRule {
  /** The command that adds it. */
  text: string;
  /** The same without libnftables; not of rules with conditions, ranges or maps. */
  plain?: NewNftRule;
}

/** Rules that a change adds, and the tables that must be there for them. */
export interface NftablesRules {
  masquerade: GoRule[];
  ports: { 4: GoRule[]; 6: GoRule[] };
}

/** How publishing is to be done; what `snat` and the others mean says docs/cni/portmap.md. */
export interface PublishOptions {
  snat: boolean;
  masqueradeAll: boolean;
  /** Matches in the backend's language that a packet must meet. */
  conditions: { 4: readonly string[]; 6: readonly string[] };
}

const network = ({ address, length }: ContainerAddress["network"]) => `${address}/${length}`;
const quoted = (comment: string) => JSON.stringify(comment);

/** `saddr` or `daddr` of the network that an address is in; undefined where that is everything. */
const ofNetwork = (which: "source" | "destination", { network }: ContainerAddress, not = false) =>
  network.length === 0
    ? undefined
    : hasAddress(which, parseIP(network.address)!.bytes, { prefix: network.length, not });

export function masqueradeRules(owner: RuleOwner, list: readonly ContainerAddress[]): GoRule[] {
  const comment = masqueradeComment(owner);
  return list.map(target => {
    const ip = familyOf(target.version);
    const text = `add rule inet ${MASQUERADE.table} masq_checks ${ip} saddr ${target.address} ${ip} daddr != ${network(target.network)} masquerade comment ${quoted(comment)}`;
    const away = ofNetwork("destination", target, true);
    if (!away) return { text };
    const expressions = [
      ...isOfFamily(target.version),
      ...hasAddress("source", bytesOf(target)),
      ...away,
      ...masquerade(),
    ];
    return { text, plain: { ...MASQUERADE, chain: "masq_checks", at: "end", expressions, comment } };
  });
}

/** `dnat to …`, for a port, a range whose ports keep their numbers, and one whose ports do not. */
function translation(version: 4 | 6, address: string, port: PublishedPort): string {
  const { hostPort: from, containerPort: to, count, protocol } = port;
  const host = version === 6 ? `[${address}]` : address;
  if (count === 1) return `dnat to ${host}:${to}`;
  if (from === to) return `dnat to ${address}`;
  const map = Array.from({ length: count }, (_, index) => `${from + index} : ${to + index}`);
  return `dnat to ${address}:${protocol} dport map { ${map.join(", ")} }`;
}

const LOOPBACK = Uint8Array.of(127, 0, 0, 1);

/** One that lets a connection to a port through to the container; undefined where it is no plain one. */
function plainPortRule(
  target: ContainerAddress,
  port: PublishedPort,
  options: PublishOptions,
): NewNftRule["expressions"] | undefined {
  if (port.count > 1 || options.conditions[target.version].length > 0) return undefined;
  const { version, address } = target;
  const host = port.host?.address;
  const to = host
    ? hasAddress("destination", bytesOf({ address: host }))
    : version === 6
      ? hasAddress("destination", parseIP("::1")!.bytes, { not: true })
      : [];
  return [
    ...to,
    ...isToPort(PROTOCOL_NUMBER[port.protocol], port.hostPort),
    ...translateTo(bytesOf({ address }), port.containerPort),
  ];
}

/** The rules that publish `ports` for one address. The newest stand first: who comes last has the port. */
export function portRules(
  owner: RuleOwner,
  target: ContainerAddress,
  ports: readonly PublishedPort[],
  options: PublishOptions,
): GoRule[] {
  const { version, address } = target;
  const ip = familyOf(version);
  const comment = portComment(owner);
  const served = ports.filter(port => port.host === undefined || port.host.version === version);
  if (served.length === 0) return [];
  const place = { family: ip, table: HOSTPORT } as const;
  const rules = served.toReversed().map((port): GoRule => {
    const last = port.hostPort + port.count - 1;
    const anywhere = version === 6 ? ["ip6 daddr != ::1"] : [];
    const words = [
      ...options.conditions[version],
      ...(port.host?.address ? [`${ip} daddr ${port.host.address}`] : anywhere),
      `${port.protocol} dport ${port.count === 1 ? last : `${port.hostPort}-${last}`}`,
      translation(version, address, port),
    ];
    const text = `insert rule ${ip} ${HOSTPORT} hostports ${words.join(" ")} comment ${quoted(comment)}`;
    const expressions = plainPortRule(target, port, options);
    return expressions
      ? { text, plain: { ...place, chain: "hostports", at: "start", expressions, comment } }
      : { text };
  });
  return options.snat ? [...rules, ...returnRules(target, options, comment)] : rules;
}

/** Those by which answers to connections that would not come past us do. */
function returnRules(target: ContainerAddress, options: PublishOptions, comment: string): GoRule[] {
  const { version, address } = target;
  const ip = familyOf(version);
  const own = bytesOf(target);
  const near = ofNetwork("source", target);
  const sources: (readonly [string, NewNftRule["expressions"] | undefined])[] = options.masqueradeAll
    ? [["ct status dnat", isTranslated()]]
    : [
        [`${ip} saddr ${address}`, hasAddress("source", own)],
        ...(version === 4 ? ([["ip saddr 127.0.0.1", hasAddress("source", LOOPBACK)]] as const) : []),
        [`ct status dnat ${ip} saddr ${network(target.network)}`, near && [...isTranslated(), ...near]],
      ];
  return sources.map(([source, matches]) => {
    const text = `add rule ${ip} ${HOSTPORT} masquerading ${source} ${ip} daddr ${address} masquerade comment ${quoted(comment)}`;
    if (!matches) return { text };
    const expressions = [...matches, ...hasAddress("destination", own), ...masquerade()];
    return {
      text,
      plain: { family: ip, table: HOSTPORT, chain: "masquerading", at: "end", expressions, comment },
    };
  });
}

/** Everything in `cni_plugins_masquerade` but the rules of attachments. */
export const MASQUERADE_LAYOUT = `
add table inet ${MASQUERADE.table} { comment "Masquerading for plugins from github.com/containernetworking/plugins" ; }
add chain inet ${MASQUERADE.table} masq_checks { comment "Masquerade traffic from certain IPs to any (non-multicast) IP outside their subnet" ; }
add chain inet ${MASQUERADE.table} postrouting { type nat hook postrouting priority srcnat ; }
flush chain inet ${MASQUERADE.table} postrouting
add rule inet ${MASQUERADE.table} postrouting ip daddr 224.0.0.0/4 return
add rule inet ${MASQUERADE.table} postrouting ip6 daddr ff00::/8 return
add rule inet ${MASQUERADE.table} postrouting goto masq_checks
`;

const hostportBase = (table: string, version: 4 | 6) => `
add table ${table} { comment "CNI portmap plugin" ; }
add chain ${table} hostports
add chain ${table} hostip_hostports
add chain ${table} hostports_all
flush chain ${table} hostports_all
add rule ${table} hostports_all jump hostip_hostports
add rule ${table} hostports_all jump hostports
add chain ${table} prerouting { type nat hook prerouting priority dstnat ; }
flush chain ${table} prerouting
add rule ${table} prerouting fib daddr type local jump hostports_all
add chain ${table} output { type nat hook output priority -100 ; }
flush chain ${table} output
add rule ${table} output fib daddr type local jump hostports_all
add chain ${table} masquerading { type nat hook postrouting priority srcnat ; }
${
  version === 4
    ? `add chain ${table} loopback_guard { type filter hook prerouting priority raw ; }
flush chain ${table} loopback_guard
add rule ${table} loopback_guard iifname != "lo" ip daddr 127.0.0.0/8 drop
`
    : ""
}`;

/** Everything in `cni_hostport` but the rules of attachments. */
export const hostportLayout = (version: 4 | 6) => hostportBase(`${familyOf(version)} ${HOSTPORT}`, version);
