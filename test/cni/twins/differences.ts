/**
 * Where our plugins are otherwise than Go's on purpose. Each entry says why, and must be met: one that no longer occurs fails the
 * test as a difference that is not listed does.
 */
import type { Difference } from "./compare.ts";

export interface Known {
  /** Which cases: their names with the version. All if absent. */
  case?: RegExp;
  path: RegExp;
  go?: RegExp;
  ours?: RegExp;
  reason: string;
}

/** Refusals: codes, words, and what is refused at all. */
const ANSWERS: Known[] = [
  {
    path: /^\d+ \S+\/err$/,
    go: /plugin version unknown/,
    ours: /plugin v1\.9\.1/,
    reason: "Debian builds Go's without a version; nerdctl decides by it what a plugin can do",
  },
  {
    path: /\/out\/code$/,
    go: /^(999|0|4)$/,
    ours: /^([2-8]|50)$/,
    reason: "Go's plugins answer 999 to whatever they refuse themselves; ours give the specification's code",
  },
  {
    path: /\/out\/msg$/,
    go: /./,
    ours: /^(?!.*(undefined|is not an? (function|object)|\[object|evaluating)).{8,}$/,
    reason:
      "the same refusal in words for people; Go's name its functions, types and the commands that it ran",
  },
  {
    path: /\/out\/details$/,
    go: /^-$/,
    ours: /./,
    reason: "ours say more, where the specification has a place for it",
  },
  {
    path: /DEL[^/]*\/(rc|form|out)$|DEL [a-z-]+$/,
    go: /^1$|^indent 4$|"code":|^-$/,
    ours: /^0$|^-$|^$|"rc":0/,
    reason: "a DEL that fails keeps a runtime from the DELs after it, so ours goes on and is quiet",
  },
  {
    path: /"mtu":-\d.*\/(rc|out)|"backend":"frob".*\/(rc|out)/,
    go: /^0$|^1\.0\.0$|^-$|^\[|^\{/,
    reason: "a value that can't be meant is refused; Go ignores it",
  },
];

/** Attachments that are taken away, and ADDs that fail: Go's leave what ours take along. */
const ENDS: Known[] = [
  {
    case: /DEL with(out)? a (dead )?namespace/,
    path: /^\d+ (LOOK|ls )/,
    ours: /^-$/,
    reason:
      "without a way into the namespace Go's remove no more than the address; ours know by the result what there was",
  },
  {
    case: /another address|another prefix|something else|exhausted|already|no bridge|refuse|alone|no namespace|set by somebody|by then|^macvlan: MAC/,
    path: /^\d+ LOOK\//,
    ours: /^(-|00:00:00:00:00:00|noop|600 .*)$/,
    reason: "an ADD that fails undoes what it did",
  },
];

const DEVICES: Known[] = [
  {
    case: /^host-device: configurations that are refused/,
    path: /^\d+ LOOK\/host\/(links|sysctl)\/.*dev0/,
    reason: "a device whose ADD fails comes back to the host; Go's stays in the container",
  },
];

/** What a result says. */
const RESULTS: Known[] = [
  {
    path: /ADD [^/]*\/out\/dns$/,
    go: /^-$/,
    ours: /^\{\}$/,
    reason: "an empty dns is there as with Debian 12's, whose answer this is only where it fails",
  },
  {
    case: /^ptp: two interfaces/,
    path: /ADD ptp|LOOK/,
    reason: "a container can have two interfaces of one network; Go's second ADD fails",
  },
  {
    case: /^bridge: no IPAM|^ptp: what every/,
    path: /(CHECK|STATUS)[^/]*\/(rc|out|form)$/,
    go: /^1$|no plugin name|^indent 4$/,
    reason: "Go calls an address plugin without a name where there is none to call",
  },
  {
    case: /sbr/,
    path: /CHECK (bridge|ptp)\/(rc|out|form)$|CHECK \w+$/,
    go: /^1$|Failed to find Gateway|^indent 4$|^-$/,
    reason: "sbr has moved the route to a table of its own, where Go's CHECK does not look",
  },
  {
    case: /^static: CHECK|^bandwidth: CHECK|^sbr: what every/,
    path: /CHECK [^/]*\/(rc|out|form)$|CHECK\/(rc|out|form)$/,
    go: /^0$|^$|^-$/,
    reason: "CHECK tells of an address, a token bucket and a result that are not there",
  },
  {
    case: /^bandwidth: alone/,
    path: /bandwidth ADD \{\}\/(rc|out|form)$/,
    go: /^2$|^$|^-$/,
    reason: "Go's ends in a panic",
  },
  {
    case: /what every plugin refuses/,
    path: /STATUS\/out$/,
    go: /^$/,
    ours: /"code":(50|7)/,
    reason: "STATUS of the configuration itself, told with the code that the specification gives for it",
  },
  {
    case: /^loopback/,
    path: /ADD loopback\/out\/(interfaces|ips|ip4|ip6)/,
    reason: "Go prints the form of 1.0.0 whatever version was asked for; ours has the version's",
  },
  {
    path: /ADD (tuning|bandwidth|sbr)\/out\/interfaces\/\d\/mtu$/,
    go: /^-$/,
    reason: "the interface that the result tells of has that MTU",
  },
];

/** What is in the kernel and on disk. */
const STATE: Known[] = [
  {
    path: /LOOK\/host\/links\/veth-\d\/linkinfo\/info_slave_data\/hairpin$/,
    go: /^false$/,
    ours: /^true$/,
    reason: "a container reaches its own published port also where the bridge was not told of hairpin",
  },
  {
    path: /LOOK\/host\/nft\/\{table ip6? cni_hostport, chain (masquerading|loopback_guard|hostports)/,
    go: /^-$/,
    reason:
      "neighbours reach published ports, nobody outside reaches 127.0.0.1, and ::1 is left to the host; they bear the same comments",
  },
  {
    case: /nftables, IPv4, conditions/,
    path: /LOOK\/host\/nft\//,
    reason: "conditions are words of iptables to Go's v1.9.1 in nftables too, which then refuses them",
  },
  {
    path: /LOOK\/host\/filters\/\{(action order 2|index 2)/,
    ours: /^-$/,
    reason: "Go's second action is never come to: the first steals the packet",
  },
  {
    case: /sbr/,
    path: /LOOK\/container\/routes6\/\{.*"table":"10\d"/,
    ours: /^-$/,
    reason: "the table of an IPv4 address has no route of IPv6",
  },
  {
    case: /^firewall: ingress/,
    path: /LOOK\/host\/ip6?tables\/\{filter -A CNI-ISOLATION-STAGE-1 -i br0/,
    ours: /^-$/,
    reason: "a bridge's isolation goes with its last container",
  },
  {
    case: /two interfaces of one/,
    path: /LOOK\/host\/iptables\//,
    ours: /^-$/,
    reason:
      "two interfaces of a container have one chain by Go's naming, and its first DEL fails at it; ours takes it with the last",
  },
  {
    case: /^tuning: MAC in CNI_ARGS/,
    path: /c1_eth0\.json$/,
    ours: /^-$/,
    reason: "the interface has that hardware address already, so there is nothing to put back",
  },
  {
    case: /^(bridge|tuning: alone)/,
    path: /\/(mac|address)$/,
    go: /^mac-|^00:00/,
    ours: /^mac-\d$/,
    reason:
      "a bridge of ours keeps the hardware address that it was made with; one of Go's that is no gateway takes its ports'",
  },
  {
    path: /LOOK\/container\/routes[46]\/\{.*"dst":"default"/,
    case: /two (containers|interfaces)/,
    reason:
      "the first default route holds, the next stands by; two equal ones would send half of the flows from a wrong address",
  },
  {
    path: /LOOK\/host\/files\/\/run\/portolan\/locks\/firewall$/,
    reason: "a lock of ours, as /run/xtables.lock is one of iptables",
  },
  {
    path: /LOOK\/host\/links\/(veth|bwp)[^/]*\/ifalias$/,
    go: /^-$/,
    reason: "GC knows by it whose an interface is, without any file",
  },
  {
    path: /LOOK\/(host|container)\/sysctl\/ipv6\/conf\/[^/]+\/accept_dad$/,
    go: /^1$/,
    ours: /^0$/,
    reason:
      "nobody else can have these addresses, and an interface that asks for two seconds serves nobody meanwhile",
  },
  {
    path: /LOOK\/(host|container)\/links\/[^/]+\/addr_info\/\{.*inet6/,
    reason: "IPv6 addresses are added without duplicate address detection, for the same reason",
  },
  {
    path: /LOOK\/container\/sysctl\/ipv(4\/conf\/[^/]+\/arp|6\/conf\/[^/]+\/ndisc)_notify$/,
    go: /^0$/,
    ours: /^1$/,
    reason: "neighbours learn at once who has an address now, in both families and by every plugin",
  },
  {
    path: /LOOK\/(host|container)\/links\/[^/]+\/txqlen$/,
    reason: "Go asks for a queue of no length, which a veth has not anyway",
  },
  {
    case: /^bridge: (MACs|the interface is there|the bridge is no)/,
    path: /LOOK\/host\/files\/\/var\/lib\/cni\/networks\/net\/(lock|last_reserved_ip\.0)$/,
    go: /^-$/,
    reason:
      "addresses are asked for before anything is made, and given back when that fails; the pool goes on behind them",
  },
  {
    path: /LOOK\/host\/files\/\/var\/lib\/cni\/networks\/net\/lock$/,
    go: /^750/,
    ours: /^-$/,
    reason: "a DEL of a network that never was makes no directory for it",
  },
];

export const KNOWN: readonly Known[] = [...ANSWERS, ...ENDS, ...DEVICES, ...RESULTS, ...STATE];

export const isListed = (one: Difference): boolean => KNOWN.some(known => isKnown(one, known));

export const isKnown = (one: Difference, known: Known): boolean =>
  (known.case?.test(one.case) ?? true) &&
  known.path.test(one.path) &&
  (known.go?.test(one.go) ?? true) &&
  (known.ours?.test(one.ours) ?? true);
