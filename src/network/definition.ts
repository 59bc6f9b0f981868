/**
 * Networks between two forms: the conflist on disk, as Podman 4 writes it in CNI mode, and what `network inspect` shows.
 * Pure. What a conflist has no place for (labels, options) is in its `args.podman_labels` and `args.podman_options`.
 */
import { DEFAULT_NETWORK } from "../cni/conflist.ts";
import type { NetConfList } from "../cni/types.ts";
import { bigIntToIp, formatIP, ipToBigInt, networkOf, parseCidr } from "../wire/addr.ts";

/** One subnet of a network: `10.89.0.0/24`, the bridge's address on it, the addresses that are given out. */
export interface Subnet {
  subnet: string;
  gateway?: string;
  lease_range?: { start_ip?: string; end_ip?: string };
}

/** A network as `network inspect` shows it. */
export interface NetworkInfo {
  name: string;
  id: string;
  driver: string;
  /** The bridge, or the parent of a macvlan. */
  network_interface?: string;
  created: string;
  subnets?: Subnet[];
  ipv6_enabled: boolean;
  internal: boolean;
  dns_enabled: boolean;
  labels?: Record<string, string>;
  options?: Record<string, string>;
  ipam_options?: Record<string, string>;
}

/** Podman's own rule in CNI mode: the SHA-256 of the name; the default network's id is fixed. */
export function networkId(name: string): string {
  if (name === DEFAULT_NETWORK) return "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9";
  return new Bun.CryptoHasher("sha256").update(name).digest("hex");
}

/** `10.88.0.0/16` → `10.88.0.1`: the gateway where nothing else is said. */
function firstAddress(subnet: string): string | undefined {
  const cidr = parseCidr(subnet);
  return cidr && formatIP(bigIntToIp(ipToBigInt(networkOf(cidr)) + 1n, cidr.ip.family));
}

interface RangeConf {
  subnet: string;
  rangeStart?: string;
  rangeEnd?: string;
  gateway?: string;
}

function isRange(value: unknown): value is RangeConf {
  const subnet = (value as RangeConf | null | undefined)?.subnet;
  return typeof subnet === "string" && parseCidr(subnet) !== undefined;
}

const inOrder = (record: Record<string, string>) =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
const orNone = (record: Record<string, string> | undefined) =>
  record && Object.keys(record).length > 0 ? inOrder(record) : undefined;

/** What a conflist says. `created` is an RFC 3339 time. */
export function describe(list: NetConfList, created: string): NetworkInfo {
  const main = list.plugins[0]!;
  const args = (JSON.parse(list.source) as { args?: Record<string, Record<string, string>> }).args ?? {};
  const { ipam } = main;
  // Plugins of others have other things there: a word in place of a subnet, ranges of another form.
  const ranges = [ipam, ...(Array.isArray(ipam?.ranges) ? ipam.ranges.flat() : [])].filter(isRange);
  const internal = main.type === "bridge" && !(main.isGateway === true || main.isDefaultGateway === true);
  const options: Record<string, string> = { ...args.podman_options };
  for (const key of ["mtu", "vlan", "mode"]) if (main[key]) options[key] ??= String(main[key]);
  return {
    name: list.name,
    id: networkId(list.name),
    driver: main.type,
    network_interface:
      (main.bridge as string | undefined) ||
      (main.master as string | undefined) ||
      (main.type === "bridge" ? "cni0" : undefined),
    created,
    subnets: ranges.length
      ? ranges.map(({ subnet, gateway, rangeStart, rangeEnd }) => ({
          subnet,
          gateway: gateway ?? (internal ? undefined : firstAddress(subnet)),
          lease_range: rangeStart || rangeEnd ? { start_ip: rangeStart, end_ip: rangeEnd } : undefined,
        }))
      : undefined,
    ipv6_enabled: ranges.some(one => one.subnet.includes(":")),
    internal,
    dns_enabled: list.plugins.some(plugin => plugin.type === "dnsname"),
    labels: orNone(args.podman_labels),
    options: orNone(options),
    ipam_options: { driver: ipam?.type || "none" },
  };
}

/** Go reads a number out of an option; none where it is empty. */
const numberOf = (text: string | undefined) => (text ? Number(text) : 0) || undefined;

function ipamOf(info: NetworkInfo): object {
  const driver = info.ipam_options?.driver ?? "host-local";
  if (driver !== "host-local") return { type: driver === "none" ? "" : driver };
  const subnets = info.subnets ?? [];
  const routes = [...new Set(subnets.map(one => (one.subnet.includes(":") ? "::/0" : "0.0.0.0/0")))];
  return {
    type: driver,
    routes: info.internal ? undefined : routes.map(dst => ({ dst })),
    ranges: subnets.map(({ subnet, gateway, lease_range: lease }): RangeConf[] => [
      { subnet, rangeStart: lease?.start_ip, rangeEnd: lease?.end_ip, gateway },
    ]),
  };
}

function pluginsOf(info: NetworkInfo): object[] {
  const options = info.options ?? {};
  const ipam = ipamOf(info);
  const capabilities = info.ipam_options?.driver === "host-local" ? { ips: true } : undefined;
  if (info.driver !== "bridge")
    return [
      {
        type: info.driver,
        master: info.network_interface ?? "",
        ipam,
        mtu: numberOf(options.mtu),
        mode: options.mode || undefined,
        capabilities,
      },
    ];
  return [
    {
      type: "bridge",
      bridge: info.network_interface,
      isGateway: !info.internal,
      ipMasq: info.internal ? undefined : true,
      mtu: numberOf(options.mtu),
      hairpinMode: true,
      ipam,
      capabilities,
    },
    { type: "portmap", capabilities: { portMappings: true } },
    { type: "firewall", backend: "", ingressPolicy: isTrue(options.isolate) ? "same-bridge" : undefined },
    { type: "tuning" },
    ...(info.dns_enabled
      ? [{ type: "dnsname", domainName: "dns.podman", capabilities: { aliases: true } }]
      : []),
  ];
}

/** Go's words for a truth (strconv.ParseBool); undefined for what is neither. */
export function parseTruth(text: string): boolean | undefined {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  return /^(0|f|F|FALSE|false|False)$/.test(text) ? false : undefined;
}
const isTrue = (text: string | undefined) => parseTruth(text ?? "") === true;

/** The conflist of a network, character for character as Podman writes it. */
export function formatConfList(info: NetworkInfo): string {
  const args = { podman_labels: orNone(info.labels), podman_options: orNone(info.options) };
  return JSON.stringify(
    {
      args: args.podman_labels || args.podman_options ? args : undefined,
      cniVersion: "0.4.0",
      name: info.name,
      plugins: pluginsOf(info),
    },
    null,
    3,
  );
}
