/**
 * A netavark network as what our CNI runtime runs: driver and options read and refused in netavark's words, and the chain
 * of plugins that makes the same. Pure.
 */
import { UserError } from "../base/errors.ts";
import { parseConfList } from "../cni/conflist.ts";
import type { NetConfList, PortMap } from "../cni/types.ts";
import { contains, parseCidr, parseIP } from "../wire/addr.ts";
import type { Join, Network, PortMapping } from "./input.ts";

export type Isolation = "false" | "true" | "strict";

/** What a network's `options` say. */
export interface DriverOptions {
  /** Bytes; 0 for what the kernel would take. */
  mtu: number;
  metric: number;
  noDefaultRoute: boolean;
  isolate: Isolation;
  vlan?: number;
  vrf?: string;
  /** Whether the caller wants rules at all. */
  rules: boolean;
  /** A bridge that somebody else made and keeps: no address on it, no rules, never removed. */
  unmanaged: boolean;
  /** Of a macvlan or ipvlan. */
  mode?: string;
}

const DEFAULT_METRIC = 100;
const MAX_VLAN = 4094;
const MAX_U32 = 0xffffffff;

function unsigned(options: Record<string, string>, key: string, max = MAX_U32): number | undefined {
  const text = options[key];
  if (text === undefined) return undefined;
  if (!/^\+?\d+$/.test(text)) throw new UserError(`unable to parse "${key}": invalid digit found in string`);
  if (Number(text) > max)
    throw new UserError(`unable to parse "${key}": number too large to fit in target type`);
  return Number(text);
}

/** Rust's words for a truth. */
function truth(options: Record<string, string>, key: string): boolean {
  const text = options[key] ?? "false";
  if (text !== "true" && text !== "false")
    throw new UserError(`unable to parse "${key}": provided string was not \`true\` or \`false\``);
  return text === "true";
}

function isolation(text: string): Isolation {
  if (text === "true" || text === "false" || text === "strict") return text;
  throw new UserError('unable to parse "isolate": provided string was not `true`, `false` or `strict`');
}

const MODES: Record<string, readonly string[]> = {
  bridge: ["managed", "unmanaged"],
  macvlan: ["bridge", "private", "vepa", "passthru"],
  ipvlan: ["l2", "l3", "l3s"],
};

/** Throws UserError for a mode that the driver has not. */
export function checkMode(driver: string, mode: string): void {
  if (!MODES[driver]?.includes(mode)) throw new UserError(`invalid ${driver} mode ${JSON.stringify(mode)}`);
}

/** Reads a network's options. Throws UserError. */
export function driverOptions({ driver, options, ipam_options: ipam }: Network, rules = true): DriverOptions {
  const { mode } = options;
  const unmanaged = driver === "bridge" && mode === "unmanaged";
  if (mode !== undefined) checkMode(driver, mode);
  if (driver === "bridge" && ipam.driver === "dhcp" && !unmanaged)
    throw new UserError("cannot use dhcp ipam driver without using the option mode=unmanaged");
  if (ipam.driver === "dhcp" && options.no_default_route !== undefined)
    throw new UserError("network option no_default_route is not supported with addresses by DHCP");
  for (const key of ["outbound_addr4", "outbound_addr6", "bclim"])
    if (options[key] !== undefined) throw new UserError(`network option ${key} is not supported`);
  const vlan = unsigned(options, "vlan", 65535);
  if (vlan !== undefined && vlan > MAX_VLAN)
    throw new UserError(`vlan ID ${vlan} must be between 0 and ${MAX_VLAN}`);
  return {
    mtu: unsigned(options, "mtu") ?? unsigned(options, "com.docker.network.driver.mtu") ?? 0,
    metric: unsigned(options, "metric") ?? DEFAULT_METRIC,
    noDefaultRoute: truth(options, "no_default_route"),
    isolate: isolation(options.isolate ?? "false"),
    vlan: vlan || undefined,
    vrf: options.vrf || undefined,
    rules,
    unmanaged,
    mode: driver === "bridge" ? undefined : mode,
  };
}

/** `10.88.0.5` → `10.88.0.5/16` and the gateway of the subnet that it is in. */
export interface GivenAddress {
  address: string;
  gateway?: string;
}

/** The addresses that the container gets. Throws UserError. */
export function givenAddresses({ network, wish }: Join): GivenAddress[] {
  const ipam = network.ipam_options.driver ?? "host-local";
  if (ipam === "none" || ipam === "dhcp") return [];
  if (ipam !== "host-local") throw new UserError(`unsupported ipam driver ${ipam}`);
  if (wish.static_ips.length === 0) throw new UserError("no static ips provided");
  return wish.static_ips.map(text => {
    const ip = parseIP(text);
    if (!ip) throw new UserError(`invalid IP address ${JSON.stringify(text)}`);
    const subnet = network.subnets.find(one => {
      const cidr = parseCidr(one.subnet);
      if (!cidr) throw new UserError(`invalid subnet ${JSON.stringify(one.subnet)}`);
      return contains(cidr, ip);
    });
    if (!subnet) throw new UserError(`static ip ${text} is in no subnet of network ${network.name}`);
    return { address: `${text}/${subnet.subnet.split("/")[1]}`, gateway: subnet.gateway };
  });
}

/** What the runtime is to know of published ports. `families`: those that no other network of the container serves. */
export function portMaps(ports: readonly PortMapping[], families: ReadonlySet<4 | 6>): PortMap[] {
  if (families.size === 0) return [];
  const only = families.size === 1 ? [...families][0] : undefined;
  return ports.flatMap(({ host_ip: text, host_port, container_port, protocol, range }) => {
    const host = text === "" ? undefined : parseIP(text);
    if (text !== "" && !host)
      throw new UserError(`invalid host ip ${JSON.stringify(text)} provided for port ${host_port}`);
    if (host && !families.has(host.family)) return [];
    const anywhere = only === undefined ? undefined : only === 4 ? "0.0.0.0" : "::";
    return protocol.split(",").map(
      (one): PortMap => ({
        hostPort: host_port,
        containerPort: container_port,
        protocol: one,
        hostIP: text || anywhere,
        range: range > 1 ? range : undefined,
      }),
    );
  });
}

/** Whether the host's rules serve the network: published ports, source NAT, isolation. */
export const isServed = (network: Network, { rules, ...options }: DriverOptions): boolean =>
  rules && isRouted(network, options);

/** Whether the host forwards for the network's containers, as their gateway. */
const isRouted = (network: Network, { unmanaged }: Pick<DriverOptions, "unmanaged">): boolean =>
  network.driver === "bridge" && !network.internal && !unmanaged;

/** A server is told the container's name, and gives routes with the network's metric. */
function ipamOf(
  network: Network,
  options: DriverOptions,
  addresses: readonly GivenAddress[],
): object | undefined {
  if (network.ipam_options.driver === "dhcp")
    return {
      type: "dhcp",
      priority: options.metric,
      provide: [{ option: "host-name", fromArg: "K8S_POD_NAME" }],
    };
  return addresses.length > 0 ? { type: "static", addresses } : undefined;
}

function main(
  { network }: Join,
  options: DriverOptions,
  addresses: readonly GivenAddress[],
  mtu: number,
): object {
  const common = {
    mtu: mtu || undefined,
    capabilities: { mac: true },
    ipam: ipamOf(network, options, addresses),
  };
  if (network.driver !== "bridge")
    return {
      type: network.driver,
      master: network.network_interface,
      mode: options.mode,
      ...common,
    };
  const isGateway = isRouted(network, options) && addresses.every(one => one.gateway !== undefined);
  return {
    type: "bridge",
    bridge: network.network_interface,
    isGateway,
    ipMasq: isServed(network, options),
    vlan: options.vlan,
    ...common,
  };
}

/** Whether a chain's network is kept apart from all others, as `isolate` said; the plugins don't know of it. */
export function isApart(chain: string): boolean {
  const { plugins } = JSON.parse(chain) as { plugins: { isolate?: Isolation }[] };
  return plugins.some(one => one.isolate === "strict");
}

/** The chain that joins the container to the network. `mtu`: what the options say, or what fits the host. */
export function chainOf(
  join: Join,
  options: DriverOptions,
  addresses: readonly GivenAddress[],
  mtu: number,
): NetConfList {
  const plugins: object[] = [main(join, options, addresses, mtu)];
  if (isServed(join.network, options))
    plugins.push(
      { type: "portmap", capabilities: { portMappings: true } },
      {
        type: "firewall",
        ingressPolicy: options.isolate === "false" ? undefined : "same-bridge",
        isolate: options.isolate === "strict" ? options.isolate : undefined,
      },
    );
  // Also of a network without a way out: a host that drops what comes to it has to let questions for names in.
  else if (
    options.rules &&
    join.network.driver === "bridge" &&
    join.network.dns_enabled &&
    !options.unmanaged
  )
    plugins.push({ type: "firewall" });
  return parseConfList(JSON.stringify({ cniVersion: "1.1.0", name: join.network.name, plugins }));
}

export const isOurDriver = (driver: string): boolean => Object.hasOwn(MODES, driver);

/** Refuses what no driver here can make. Throws UserError. */
export function checkDriver({ driver, name, network_interface: link }: Network): void {
  if (!isOurDriver(driver)) throw new UserError(`unknown network driver ${JSON.stringify(driver)}`);
  if (driver === "bridge" && !link) throw new UserError(`no network interface is given for network ${name}`);
}
