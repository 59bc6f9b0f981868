/**
 * `create` (netavark 2.0): a network's definition completed by what is free, or refused in netavark's words. Pure: what exists
 * is handed in.
 */
import { UserError } from "../base/errors.ts";
import { type Cidr, parseIP } from "../wire/addr.ts";
import { checkIpam, checkOptions } from "./create-options.ts";
import { completeSubnets, readCidr } from "./create-subnets.ts";
import { isObject, type Network, type Route, readNetwork, readObject } from "./input.ts";

/** What is there already. */
export interface Used {
  interfaces: readonly string[];
  /** Networks' ids by their names. */
  names: Readonly<Record<string, string>>;
  subnets: readonly Cidr[];
}

export interface CreateOptions {
  /** Where free subnets are taken from: of each network the parts of this prefix, in order. */
  pools: readonly { base: Cidr; size: number }[];
  /** What bridges are called, before a number. */
  interfaceName: string;
  /** Whether subnets that were asked for may not be among those used; free ones never are. */
  checkUsed: boolean;
}

type Fields = Record<string, unknown>;

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const USUAL_POOL = { base: "10.89.0.0/16", size: 24 };
const MAX_IFNAME = 15;

const unread = (why: string) => new UserError(`failed to load network options: ${why}`);

function objectIn(fields: Fields, key: string): Fields {
  const value = fields[key] ?? {};
  if (!isObject(value)) throw unread(`invalid type of \`${key}\`: an object is expected`);
  return value;
}

function textsIn(fields: Fields, key: string): string[] {
  const value = fields[key] ?? [];
  if (!Array.isArray(value) || value.some(one => typeof one !== "string"))
    throw unread(`invalid type of \`${key}\`: a list of strings is expected`);
  return value;
}

function readUsed(fields: Fields): Used {
  return {
    interfaces: textsIn(fields, "interfaces"),
    names: objectIn(fields, "names") as Record<string, string>,
    subnets: textsIn(fields, "subnets").map(readCidr),
  };
}

function readOptions(fields: Fields): CreateOptions {
  const pools = fields.subnet_pools ?? [USUAL_POOL];
  if (!Array.isArray(pools) || !pools.every(isObject))
    throw unread("invalid type of `subnet_pools`: a list of objects is expected");
  return {
    pools: (pools as Fields[]).map(({ base, size }) => {
      const cidr = readCidr(typeof base === "string" ? base : "");
      if (
        !Number.isInteger(size) ||
        (size as number) < cidr.prefix ||
        (size as number) > cidr.ip.bytes.length * 8 - 2
      )
        throw new UserError(
          `subnet pool ${base} can't be divided into subnets of size ${JSON.stringify(size)}`,
        );
      return { base: cidr, size: size as number };
    }),
    interfaceName:
      typeof fields.default_interface_name === "string" ? fields.default_interface_name : "podman",
    checkUsed: fields.check_used_subnets === true,
  };
}

/** Gives the JSON object of the network, for the JSON text of a request. Throws UserError. */
export function createNetwork(text: string, now = new Date()): object {
  const data = readObject(text);
  if (!isObject(data.network)) throw unread("missing field `network`");
  const { name, id } = data.network;
  if (!name) throw new UserError("Network name must be supplied");
  if (!id) throw new UserError("Network id must be supplied");
  const asked = { driver: "bridge", ...data.network };
  return complete(asked, readNetwork(asked), {
    used: readUsed(objectIn(data, "used")),
    options: readOptions(objectIn(data, "options")),
    now,
  });
}

interface Circumstances {
  used: Used;
  options: CreateOptions;
  now: Date;
}

/** `asked` has besides what `network` has all that is passed on as it is (labels). */
function complete(asked: Fields, network: Network, { used, options, now }: Circumstances): object {
  if (!NAME.test(network.name))
    throw new UserError(
      `Invalid characters in network name ${JSON.stringify(network.name)}: must match [a-zA-Z0-9][a-zA-Z0-9_.-]*`,
    );
  if (Object.hasOwn(used.names, network.name)) throw new UserError(`network already exists ${network.name}`);
  const { link, texts } = checkOptions(network);
  const ipam = checkIpam(network);
  const subnets = completeSubnets(network, ipam, used, options);
  const dns = network.dns_enabled && network.driver === "bridge" && ipam !== "none";
  checkDnsServers(network, dns);
  network.routes.forEach(checkRoute);
  return {
    ...asked,
    network_interface: network.driver === "bridge" ? bridgeName(link, texts.mode, used, options) : link,
    created: usualTime(asked.created) ? now.toISOString() : asked.created,
    subnets: subnets.length > 0 ? subnets : undefined,
    routes: network.routes.length > 0 ? asked.routes : undefined,
    ipv6_enabled: network.ipv6_enabled || subnets.some(one => one.subnet.includes(":")),
    internal: network.internal,
    dns_enabled: dns,
    options: Object.keys(texts).length > 0 ? texts : undefined,
    ipam_options: { ...network.ipam_options, driver: ipam },
  };
}

/** Go's zero time stands for none. */
const usualTime = (created: unknown) =>
  typeof created !== "string" || created === "" || created.startsWith("0001-");

function bridgeName(
  asked: string | undefined,
  mode: string | undefined,
  used: Used,
  options: CreateOptions,
): string {
  if (asked === undefined) {
    for (let number = 0; ; number++) {
      const name = `${options.interfaceName}${number}`;
      if (!used.interfaces.includes(name)) return name;
    }
  }
  if (!/^[^/:\s]+$/.test(asked) || asked.length > MAX_IFNAME || asked === "." || asked === "..")
    throw new UserError(`bridge name ${asked} is no name for an interface`);
  if (mode !== "unmanaged" && used.interfaces.includes(asked))
    throw new UserError(`bridge name ${asked} already in use`);
  return asked;
}

const noAddress = () => new UserError("invalid IP address syntax");

function checkDnsServers({ network_dns_servers: servers }: Network, dns: boolean): void {
  if (servers.some(one => !parseIP(one))) throw noAddress();
  if (servers.length > 0 && !dns) throw new UserError("cannot set network DNS servers if DNS is not enabled");
}

function checkRoute({ destination, gateway, route_type: type = "unicast" }: Route): void {
  readCidr(destination);
  if (gateway !== undefined && !parseIP(gateway)) throw noAddress();
  if (!["unicast", "blackhole", "unreachable", "prohibit"].includes(type))
    throw new UserError(`unknown route type ${JSON.stringify(type)}`);
  if (type === "unicast" && gateway === undefined)
    throw new UserError(`route ${destination} requires a gateway for type ${type}`);
  if (type !== "unicast" && gateway !== undefined)
    throw new UserError(`route ${destination} must not have a gateway for type ${type}`);
}
