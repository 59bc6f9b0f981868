/**
 * The table `inet portolan`: its sets, maps, chains and rules. Pure text; the rules never change, elements do.
 *
 * In nft's own language, since libnftables 1.0.6 can't declare a map with concatenated data in JSON.
 *
 * - `port*`, `range*`: published on every host address; `addr_*`: on one. A single port maps to address and port (a hash
 *   map), a range to an address only (an interval map; the port stays what it is).
 * - `hairpin*`: {source network . container}: connections to a published port which must get our source address, or
 *   the answer would not come back through us: from the container itself, from its neighbours on the bridge, and from
 *   127.0.0.0/8.
 * - `masquerade*`: containers; `near*`: {container . its network}, what is not masqueraded.
 * - `isolated`: bridges that keep out each other; `member*`: {bridge . container} on them; `strict*`: the same for
 *   containers that keep out their neighbours too.
 * - `apart*`: containers that no container of another bridge reaches, nor they them, whatever that bridge is.
 * - `forwarded*`: containers whose packets are marked for `gate.ts`.
 */

/** The bit of a packet's mark that says "a container's, let it through"; nobody else is known to use it. */
export const GATE_MARK = 0x20000000;

export const TABLE = { family: "inet", name: "portolan" } as const;

/** The maps of published ports. */
export const PORT_MAPS = [
  "addr_port4",
  "addr_range4",
  "port4",
  "range4",
  "addr_port6",
  "addr_range6",
  "port6",
  "range6",
] as const;
export type PortMap = (typeof PORT_MAPS)[number];
export type SetName =
  | PortMap
  | `${"hairpin" | "masquerade" | "near" | "member" | "strict" | "apart" | "forwarded"}${4 | 6}`
  | "isolated";

export const isPortMap = (set: SetName): set is PortMap => (PORT_MAPS as readonly string[]).includes(set);

function setsOf(version: 4 | 6): string {
  const address = `ipv${version}_addr`;
  return `
  map port${version} { type inet_proto . inet_service : ${address} . inet_service; }
  map range${version} { type inet_proto . inet_service : ${address}; flags interval; }
  map addr_port${version} { type ${address} . inet_proto . inet_service : ${address} . inet_service; }
  map addr_range${version} { type ${address} . inet_proto . inet_service : ${address}; flags interval; }
  set hairpin${version} { type ${address} . ${address}; flags interval; }
  set masquerade${version} { type ${address}; }
  set near${version} { type ${address} . ${address}; flags interval; }
  set member${version} { type ifname . ${address}; }
  set strict${version} { type ifname . ${address}; }
  set apart${version} { type ${address}; }
  set forwarded${version} { type ${address}; }`;
}

const destinationRules = (ip: "ip" | "ip6", version: 4 | 6) =>
  (["addr_port", "addr_range", "port", "range"] as const).map(kind => {
    const address = kind.startsWith("addr") ? `${ip} daddr . ` : "";
    return `dnat ${ip} to ${address}meta l4proto . th dport map @${kind}${version}`;
  });

const sourceRules = (ip: "ip" | "ip6", version: 4 | 6, multicast: string) => [
  `ct status dnat ${ip} saddr . ${ip} daddr @hairpin${version} masquerade`,
  `${ip} daddr ${multicast} return`,
  `${ip} saddr . ${ip} daddr @near${version} return`,
  `${ip} saddr @masquerade${version} masquerade`,
];

const apartRules = (ip: "ip" | "ip6", version: 4 | 6) => [
  `${ip} saddr @apart${version} ${ip} daddr @masquerade${version} drop`,
  `${ip} saddr @masquerade${version} ${ip} daddr @apart${version} drop`,
];

const mark = `meta mark set meta mark | ${GATE_MARK}`;
const resolverRules = (ip: "ip" | "ip6", version: 4 | 6) => [
  `${ip} saddr @forwarded${version} meta l4proto { tcp, udp } th dport 53 ${mark}`,
];
const gateRules = (ip: "ip" | "ip6", version: 4 | 6) => [
  `${ip} saddr @forwarded${version} ${mark}`,
  `${ip} daddr @forwarded${version} ct state established,related ${mark}`,
  `${ip} daddr @forwarded${version} ct status dnat ${mark}`,
];

/** Chains by name: how the kernel calls them, and their rules. */
const CHAINS: Record<string, { hook?: string; rules: string[] }> = {
  // Published on 127.0.0.1 means route_localnet on the bridge; without this rule a container could then reach
  // whatever else listens on the host's loopback addresses. Answers still carry our own address at this point.
  loopback_guard: {
    hook: "type filter hook prerouting priority -300; policy accept;",
    rules: ['iifname != "lo" ip daddr 127.0.0.0/8 drop'],
  },
  hostports: { rules: [...destinationRules("ip", 4), ...destinationRules("ip6", 6)] },
  prerouting: {
    hook: "type nat hook prerouting priority -100; policy accept;",
    rules: ["fib daddr type local jump hostports"],
  },
  output: {
    hook: "type nat hook output priority -100; policy accept;",
    // The kernel lets no answer from outside come back to ::1; better no listener there than one that never answers.
    rules: ["ip6 daddr ::1 return", "fib daddr type local jump hostports"],
  },
  postrouting: {
    hook: "type nat hook postrouting priority 100; policy accept;",
    rules: [...sourceRules("ip", 4, "224.0.0.0/4"), ...sourceRules("ip6", 6, "ff00::/8")],
  },
  // What containers ask the host's resolvers, for `gate.ts`.
  input: {
    hook: "type filter hook input priority -1; policy accept;",
    rules: [...resolverRules("ip", 4), ...resolverRules("ip6", 6)],
  },
  // Before the chains of iptables, which stand at 0 and look for the marks.
  forward: {
    hook: "type filter hook forward priority -1; policy accept;",
    rules: [
      ...gateRules("ip", 4),
      ...gateRules("ip6", 6),
      "ct state established,related accept",
      "iifname . ip daddr @strict4 drop",
      "iifname . ip6 daddr @strict6 drop",
      "iifname . ip daddr @member4 accept",
      "iifname . ip6 daddr @member6 accept",
      "iifname @isolated oifname @isolated drop",
      ...apartRules("ip", 4),
      ...apartRules("ip6", 6),
    ],
  },
};

const table = (body: string) => `table ${TABLE.family} ${TABLE.name} {${body}\n}\n`;
const chains = (body: (name: string) => string) =>
  Object.keys(CHAINS)
    .map(name => `\n  chain ${name} {${body(name)}\n  }`)
    .join("");

/** One transaction that makes the table, or brings its rules up to date and leaves the elements alone. */
export const LAYOUT = [
  table(
    `${setsOf(4)}${setsOf(6)}\n  set isolated { type ifname; }${chains(name => `\n    ${CHAINS[name]!.hook ?? ""}`)}`,
  ),
  ...Object.keys(CHAINS).map(name => `flush chain ${TABLE.family} ${TABLE.name} ${name}\n`),
  table(chains(name => CHAINS[name]!.rules.map(rule => `\n    ${rule}`).join(""))),
].join("");
