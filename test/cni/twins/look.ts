/** What there is on the host and in the container that a plugin could have made: links, addresses, routes, settings, rules, files. */

/** Prints each part under a line of its own. */
const SCRIPT = `part() { echo "=== $1"; shift; "$@" 2>/dev/null; }
part links ip -j -d address
part routes4 ip -j -4 route show table all
part routes6 ip -j -6 route show table all
part rules4 ip -j -4 rule
part rules6 ip -j -6 rule
part neighbours ip -j neigh show nud permanent
part sysctl grep -r . /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf /proc/sys/net/ipv4/ip_forward
`;
const HOST = `part qdiscs tc -j qdisc
for dev in $(tc -j qdisc | grep -o '"ingress"[^}]*"dev":"[^"]*"' | sed 's/.*:"//; s/"//'); do
  part filters tc filter show dev $dev parent ffff:
done
part iptables iptables-save
part ip6tables ip6tables-save
part nft nft list ruleset
part files sh -c 'find /var/lib/cni /run /etc/cni -xdev -type f -printf "%m %p\\n" | sort | while read mode path; do
  echo "$mode $path $(base64 -w0 <"$path")"; done'
`;

type Parts = Record<string, unknown>;

/** Times, indexes and counters of the kernel, and what follows from others. */
const NOISE = new Set([
  ...["ifindex", "link_index", "link_netnsid", "operstate", "promiscuity", "allmulti", "min_mtu", "max_mtu"],
  ...["group_addr", "bridge_id", "root_id", "hello_timer", "tcn_timer", "topology_change_timer", "gc_timer"],
  ...["designated_root", "designated_bridge", "designated_port", "message_age_timer", "forward_delay_timer"],
  ...["hold_timer", "id", "no", "state", "handle", "valid_life_time", "preferred_life_time", "num_tx_queues"],
  ...["gso_max_size", "gso_max_segs", "tso_max_size", "tso_max_segs", "gro_max_size", "num_rx_queues"],
  ...["gso_ipv4_max_size", "gro_ipv4_max_size", "tentative", "refcnt", "root_port", "root_path_cost"],
]);
/** Flags of links and routes that say what a cable and its other end are doing. */
const FLAGS = new Set(["LOWER_UP", "NO-CARRIER", "linkdown"]);

const isKernels = (value: unknown) => /^(fe80|ff00)/.test(String(value));

/** `ip -j` without the noise, and without the kernel's own link-local addresses and routes. */
function clean(value: unknown): unknown {
  if (Array.isArray(value))
    return (
      value
        .filter(one => !FLAGS.has(one))
        .filter(one => !(isKernels(one?.local) || isKernels(one?.dst)))
        // What the table `local` holds follows from the addresses, but late for IPv6.
        .filter(one => !(one?.table === "local" && one?.protocol === "kernel"))
        .filter(one => JSON.stringify(one) !== "{}")
        .map(clean)
    );
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !NOISE.has(key))
      .map(([key, one]) => [key, clean(one)]),
  );
}

const byName = (list: { ifname?: string }[]) =>
  Object.fromEntries(list.map(({ ifname, ...rest }) => [ifname, rest]));

/** Rules of iptables without counters and dates, each with its table, sorted by chain but not within one. */
function rulesOf(text: string): string[] {
  let table = "";
  return text.split("\n").flatMap(line => {
    if (line.startsWith("*")) table = line.slice(1);
    // The kernel's own chains are there once somebody has looked.
    if (line.startsWith(":")) return line.includes(" - ") ? [`${table} ${line.replace(/ \[.*/, "")}`] : [];
    return line.startsWith("-A") ? [`${table} ${line}`] : [];
  });
}

/**
 * Tables that are nobody's but nft's, a line for each rule, `table ip cni_hostport, chain hostports: tcp dport …`; those of
 * iptables are read by its own program.
 */
function tablesOf(text: string): string[] {
  const at: string[] = [];
  return text.split("\n").flatMap(line => {
    const words = line.trim();
    if (words.endsWith("{")) at.push(words.slice(0, -2));
    else if (words === "}") at.pop();
    if (words === "" || words === "}" || /^table ip6? (nat|filter|mangle|raw|security)$/.test(at[0] ?? ""))
      return [];
    return [words.endsWith("{") ? at.join(", ") : `${at.join(", ")}: ${words}`];
  });
}

/** By directory: `ipv4/conf/eth0` has `{ forwarding: "1", … }`. */
function settings(lines: string[]): unknown {
  const all: Record<string, Record<string, string>> = {};
  for (const line of lines) {
    const [, directory = "", name = "", value = ""] = /^\/proc\/sys\/net\/(.*)\/(.*?):(.*)$/.exec(line) ?? [];
    all[directory] ??= {};
    all[directory][name] = value;
  }
  return all;
}

function part(name: string, text: string): unknown {
  if (name === "links") return byName(clean(JSON.parse(text || "[]")) as object[]);
  if (/^(routes|rules|neigh|qdisc)/.test(name)) return clean(JSON.parse(text || "[]"));
  if (name === "iptables" || name === "ip6tables") return rulesOf(text);
  if (name === "nft") return tablesOf(text);
  const lines = text.split("\n").filter(Boolean);
  if (name === "sysctl") return settings(lines);
  if (name === "filters") return lines.map(line => line.trim());
  return Object.fromEntries(
    lines
      .map(line => line.split(" "))
      .map(([mode, path, content]) => [path, `${mode} ${Buffer.from(content ?? "", "base64")}`]),
  );
}

function read(words: string[], script: string): Parts {
  const child = Bun.spawnSync([...words, "sh", "-c", script], { stderr: "pipe" });
  const parts = child.stdout
    .toString()
    .split(/^=== /m)
    .slice(1)
    .map(text => [text.slice(0, text.indexOf("\n")), text.slice(text.indexOf("\n") + 1)] as const);
  return Object.fromEntries(parts.map(([name, text]) => [name, part(name, text)]));
}

export function look(): { host: Parts; container: Parts | undefined } {
  const inside = Bun.spawnSync(["nsenter", "--net=/run/netns/c", "true"]).exitCode === 0;
  return {
    host: read([], SCRIPT + HOST),
    container: inside ? read(["nsenter", "--net=/run/netns/c"], SCRIPT) : undefined,
  };
}
