/**
 * The tables that Go's plugins make since v1.6 (measured at v1.9.1): `inet cni_plugins_masquerade` and `ip`/`ip6`
 * `cni_hostport`, in nft's own language. Pure text. A rule each for each attachment and port, which a plugin of either make
 * finds by its comment.
 *
 * Three rules are ours: a container reaches a port that its neighbour publishes (Go's translates the way there, and the
 * answer goes past us), `::1` is not published (no answer would come back), and `route_localnet`, which published ports need,
 * opens the host's loopback addresses to nobody.
 */
import type { ContainerAddress, PublishedPort } from "./ports.ts";
import { masqueradeComment, portComment, type RuleOwner } from "./rule-owner.ts";

export const MASQUERADE = { family: "inet", table: "cni_plugins_masquerade" } as const;
export const HOSTPORT = "cni_hostport";
export const familyOf = (version: 4 | 6): "ip" | "ip6" => (version === 4 ? "ip" : "ip6");

/** Rules that a change adds, and the tables that must be there for them. */
export interface NftablesRules {
  masquerade: string[];
  ports: { 4: string[]; 6: string[] };
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

export function masqueradeRules(owner: RuleOwner, list: readonly ContainerAddress[]): string[] {
  return list.map(target => {
    const ip = familyOf(target.version);
    return `add rule inet ${MASQUERADE.table} masq_checks ${ip} saddr ${target.address} ${ip} daddr != ${network(target.network)} masquerade comment ${quoted(masqueradeComment(owner))}`;
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

/** The rules that publish `ports` for one address. The newest stand first: who comes last has the port. */
export function portRules(
  owner: RuleOwner,
  target: ContainerAddress,
  ports: readonly PublishedPort[],
  options: PublishOptions,
): string[] {
  const { version, address } = target;
  const ip = familyOf(version);
  const comment = `comment ${quoted(portComment(owner))}`;
  const served = ports.filter(port => port.host === undefined || port.host.version === version);
  if (served.length === 0) return [];
  const rules = served.toReversed().map(port => {
    const last = port.hostPort + port.count - 1;
    const anywhere = version === 6 ? ["ip6 daddr != ::1"] : [];
    const words = [
      ...options.conditions[version],
      ...(port.host?.address ? [`${ip} daddr ${port.host.address}`] : anywhere),
      `${port.protocol} dport ${port.count === 1 ? last : `${port.hostPort}-${last}`}`,
      translation(version, address, port),
    ];
    return `insert rule ${ip} ${HOSTPORT} hostports ${words.join(" ")} ${comment}`;
  });
  if (!options.snat) return rules;
  const sources = options.masqueradeAll
    ? ["ct status dnat"]
    : [
        `${ip} saddr ${address}`,
        ...(version === 4 ? [`${ip} saddr 127.0.0.1`] : []),
        `ct status dnat ${ip} saddr ${network(target.network)}`,
      ];
  return [
    ...rules,
    ...sources.map(
      source =>
        `add rule ${ip} ${HOSTPORT} masquerading ${source} ${ip} daddr ${address} masquerade ${comment}`,
    ),
  ];
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
