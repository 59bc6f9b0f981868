/**
 * What a new network will be: what was asked for, completed by what is free, or refused in Podman's words. Pure: what
 * exists is handed in.
 */
import { UserError } from "../base/errors.ts";
import { formatCidr, networkOf, parseCidr } from "../wire/addr.ts";
import { type NetworkInfo, networkId, parseTruth, type Subnet } from "./definition.ts";
import type { HostNetwork } from "./host-network.ts";
import { completeSubnet, freeSubnet, overlap, type SubnetRequest } from "./subnets.ts";

export interface NetworkRequest {
  /** Left out, it is called after its interface. */
  name?: string;
  driver: string;
  subnets: SubnetRequest[];
  /** Dual stack: of each family one, free ones for those that are not given. */
  ipv6: boolean;
  internal: boolean;
  dns: boolean;
  labels: Record<string, string>;
  /** `mtu`, `isolate`, `parent`, `mode`. */
  options: Record<string, string>;
  ipamDriver?: string;
}

/** What a new network must keep clear of. */
export interface Occupied {
  networks: readonly NetworkInfo[];
  /** Interfaces, addresses and routes of the host. */
  host: HostNetwork;
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
/** Words that mean something else after `--network`. */
const MODES = [
  "bridge",
  "container",
  "default",
  "host",
  "none",
  "ns",
  "pasta",
  "pod",
  "private",
  "slirp4netns",
];
const MACVLAN_MODES = ["bridge", "private", "vepa", "passthru"];
const MAX_MTU = 65535;

/** The network's definition. Throws UserError. */
export function planNetwork(request: NetworkRequest, occupied: Occupied): NetworkInfo {
  const { driver } = request;
  checkName(request, occupied);
  if (driver !== "bridge" && driver !== "macvlan")
    throw new UserError(
      driver === "ipvlan"
        ? "network driver ipvlan is not supported: the drivers are bridge and macvlan"
        : `unsupported driver ${driver}: invalid argument`,
    );
  const { parent, ...options } = request.options;
  if (parent !== undefined && driver === "bridge") throw new UserError("unsupported network option parent");
  if (parent && !occupied.host.interfaces.some(one => one.name === parent))
    throw new UserError(`parent interface ${parent} does not exist`);
  checkOptions(driver, options);
  const ipam = ipamDriver(request);
  const subnets = ipam === "host-local" ? chooseSubnets(request, occupied) : [];
  const name = request.name ?? freeInterface(occupied);
  return {
    name,
    id: networkId(name),
    driver,
    network_interface: driver === "bridge" ? (request.name ? freeInterface(occupied) : name) : parent,
    created: "",
    subnets: subnets.length > 0 ? subnets : undefined,
    ipv6_enabled: subnets.some(one => one.subnet.includes(":")),
    internal: request.internal,
    dns_enabled: request.dns && driver === "bridge" && subnets.length > 0,
    labels: request.labels,
    options,
    ipam_options: { driver: ipam },
  };
}

function checkName({ name }: NetworkRequest, { networks }: Occupied): void {
  if (name === undefined) return;
  if (MODES.includes(name))
    throw new UserError(
      `cannot create network with name ${JSON.stringify(name)} because it conflicts with a valid network mode`,
      { status: 400 },
    );
  if (!NAME.test(name))
    throw new UserError(
      `network name ${name} invalid: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument`,
      { status: 400 },
    );
  if (networks.some(one => one.name === name))
    throw new UserError(`network name ${name} already used: network already exists`, { status: 409 });
}

/** The first of `cni-podman1`, `cni-podman2`, … that no network and no interface of the host is called. */
function freeInterface({ networks, host }: Occupied): string {
  for (let number = 1; ; number++) {
    const name = `cni-podman${number}`;
    if (host.interfaces.some(one => one.name === name)) continue;
    if (!networks.some(one => one.name === name || one.network_interface === name)) return name;
  }
}

function ipamDriver({ driver, ipamDriver: asked, subnets, internal }: NetworkRequest): string {
  const chosen = asked ?? (driver === "bridge" || subnets.length > 0 ? "host-local" : "dhcp");
  if (!["host-local", "none", "dhcp"].includes(chosen))
    throw new UserError(`unsupported ipam driver ${JSON.stringify(chosen)}`);
  if (chosen === "dhcp") {
    if (driver !== "macvlan")
      throw new UserError("ipam driver dhcp is not supported with the driver bridge", {
        hint: "nobody else is on its wire; give it a --subnet, or none for one that is free",
      });
    if (internal) throw new UserError("internal is not supported with macvlan and dhcp ipam driver");
    if (subnets.length > 0) throw new UserError("dhcp ipam driver is set but subnets are given");
  }
  if (chosen === "none" && subnets.length > 0)
    throw new UserError("none ipam driver is set but subnets are given");
  if (chosen === "host-local" && driver === "macvlan" && subnets.length === 0)
    throw new UserError(
      "macvlan driver needs at least one subnet specified when the host-local ipam driver is set",
    );
  return chosen;
}

/** A bridge's subnets are its own; a macvlan's are its wire's, where the host and other networks may be too. */
function chooseSubnets(request: NetworkRequest, occupied: Occupied): Subnet[] {
  const { host, networks } = occupied;
  const others = [
    ...host.interfaces.flatMap(one => one.addresses.map(({ ip, prefix }) => `${ip}/${prefix}`)),
    ...networks.flatMap(one => (one.subnets ?? []).map(({ subnet }) => subnet)),
  ].map(text => parseCidr(text)!);
  const taken = request.driver === "bridge" ? others : [];
  const routes = host.routes.map(one => parseCidr(one.dst)!).filter(one => one.prefix > 0);
  const subnets: Subnet[] = [];
  for (const asked of request.subnets) {
    const cidr = parseCidr(asked.subnet);
    if (!cidr) throw new UserError(`invalid CIDR address: ${asked.subnet}`);
    const text = formatCidr({ ip: networkOf(cidr), prefix: cidr.prefix });
    if (taken.some(one => overlap(one, cidr)))
      throw new UserError(`subnet ${text} is already used on the host or by another config`, { status: 409 });
    taken.push(cidr);
    subnets.push(completeSubnet(cidr, asked, !request.internal));
  }
  const missing = ([4, 6] as const).filter(family => {
    const given = subnets.some(one => one.subnet.includes(":") === (family === 6));
    return !given && (request.ipv6 || (family === 4 && subnets.length === 0));
  });
  for (const family of request.driver === "bridge" ? missing : []) {
    const cidr = freeSubnet(family, [...taken, ...routes]);
    subnets.push(completeSubnet(cidr, {}, !request.internal));
  }
  return subnets;
}

function checkOptions(driver: string, options: Record<string, string>): void {
  for (const [key, text] of Object.entries(options))
    if (key === "mtu" || key === "vlan") {
      if (!/^[+-]?\d*$/.test(text) || /^[+-]$/.test(text))
        throw new UserError(`strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
      const value = Number(text);
      if (key === "vlan") checkVlan(value);
      else if (value < 0) throw new UserError(`mtu ${value} is less than zero`);
      else if (value > MAX_MTU) throw new UserError(`mtu ${value} is more than ${MAX_MTU}`);
    } else if (key === "isolate" && driver === "bridge") {
      if (parseTruth(text) === undefined)
        throw new UserError(
          `failed to parse isolate option: strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`,
        );
    } else if (key === "mode") {
      if (driver === "bridge") throw new UserError('cannot set option "mode" with driver "bridge"');
      if (!MACVLAN_MODES.includes(text)) throw new UserError(`unknown macvlan mode ${JSON.stringify(text)}`);
    } else throw new UserError(`unsupported network option ${key}`);
}

function checkVlan(id: number): void {
  if (id < 0 || id > 4094) throw new UserError(`vlan ID ${id} must be between 0 and 4094`);
  if (id > 0) throw new UserError("network option vlan is not supported");
}
