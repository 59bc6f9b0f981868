/**
 * What netavark is given (its `src/network/types.rs`): a container, the networks that it joins and what these are. Read
 * strictly where we depend on it; keys that nobody here knows pass by.
 */
import { UserError } from "../base/errors.ts";

export interface PortMapping {
  container_port: number;
  host_ip: string;
  host_port: number;
  /** `tcp`, `udp`, `sctp`; several with commas between. */
  protocol: string;
  range: number;
}

/** One container's wishes for one network. */
export interface NetworkOptions {
  aliases: string[];
  interface_name: string;
  /** Chosen by the caller, who keeps the pool. */
  static_ips: string[];
  static_mac?: string;
  options: Record<string, string>;
}

export interface Route {
  destination: string;
  gateway?: string;
  metric?: number;
  /** `unicast` where nothing is said, `blackhole`, `unreachable`, `prohibit`. */
  route_type?: string;
}

export interface Subnet {
  subnet: string;
  gateway?: string;
  lease_range?: { start_ip?: string; end_ip?: string };
}

/** A network as podman keeps it. */
export interface Network {
  name: string;
  id: string;
  driver: string;
  network_interface?: string;
  subnets: Subnet[];
  routes: Route[];
  ipv6_enabled: boolean;
  internal: boolean;
  dns_enabled: boolean;
  network_dns_servers: string[];
  options: Record<string, string>;
  ipam_options: Record<string, string>;
}

/** A network with what one container wants of it. */
export interface Join {
  network: Network;
  wish: NetworkOptions;
  /** Both as they came, for a plugin of others. */
  source: { network: object; network_options: object };
}

export interface Request {
  container_id: string;
  container_name: string;
  container_hostname?: string;
  /** In the order of the interfaces' names, which is the order that they were asked for. */
  joins: Join[];
  port_mappings: PortMapping[];
  /** As they came. */
  ports: readonly object[];
  dns_servers: string[];
}

type Fields = Record<string, unknown>;

export const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const unread = (why: string) => new UserError(`failed to load network options: ${why}`);

/** A field that has to be there. */
function required(fields: Fields, key: string): unknown {
  const value = fields[key];
  if (value === undefined) throw unread(`missing field \`${key}\``);
  return value;
}

export function requiredText(fields: Fields, key: string): string {
  const value = required(fields, key);
  if (typeof value !== "string") throw unread(`invalid type of \`${key}\`: a string is expected`);
  return value;
}

function texts(fields: Fields, key: string): string[] {
  const value = fields[key] ?? [];
  if (!Array.isArray(value) || value.some(one => typeof one !== "string"))
    throw unread(`invalid type of \`${key}\`: a list of strings is expected`);
  return value as string[];
}

function textMap(fields: Fields, key: string): Record<string, string> {
  const value = fields[key] ?? {};
  if (!isObject(value) || Object.values(value).some(one => typeof one !== "string"))
    throw unread(`invalid type of \`${key}\`: a map of strings is expected`);
  return value as Record<string, string>;
}

function objects(fields: Fields, key: string): Fields[] {
  const value = fields[key] ?? [];
  if (!Array.isArray(value) || !value.every(isObject))
    throw unread(`invalid type of \`${key}\`: a list of objects is expected`);
  return value;
}

const orAbsent = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);

/** A network's definition. Throws UserError. */
export function readNetwork(fields: Fields): Network {
  return {
    name: requiredText(fields, "name"),
    id: requiredText(fields, "id"),
    driver: requiredText(fields, "driver"),
    network_interface: orAbsent(fields.network_interface),
    subnets: objects(fields, "subnets").map(one => ({
      subnet: requiredText(one, "subnet"),
      gateway: orAbsent(one.gateway),
      lease_range: isObject(one.lease_range) ? one.lease_range : undefined,
    })),
    routes: objects(fields, "routes").map(one => ({
      destination: requiredText(one, "destination"),
      gateway: orAbsent(one.gateway),
      metric: typeof one.metric === "number" ? one.metric : undefined,
      route_type: orAbsent(one.route_type),
    })),
    ipv6_enabled: fields.ipv6_enabled === true,
    internal: fields.internal === true,
    dns_enabled: fields.dns_enabled === true,
    network_dns_servers: texts(fields, "network_dns_servers"),
    options: textMap(fields, "options"),
    ipam_options: textMap(fields, "ipam_options"),
  };
}

function readWish(fields: Fields): NetworkOptions {
  return {
    aliases: texts(fields, "aliases"),
    interface_name: requiredText(fields, "interface_name"),
    static_ips: texts(fields, "static_ips"),
    static_mac: orAbsent(fields.static_mac),
    options: textMap(fields, "options"),
  };
}

/** What each network is asked for, by its name: newer podmans send a list, in which each says its name. */
function wishes(value: unknown): Map<string, Fields> {
  if (Array.isArray(value) && value.every(isObject))
    return new Map(value.map(one => [requiredText(one, "name"), one]));
  if (!isObject(value) || !Object.values(value).every(isObject))
    throw unread("invalid type of `networks`: a map of objects is expected");
  return new Map(Object.entries(value as Record<string, Fields>));
}

function readPort(fields: Fields): PortMapping {
  const number = (key: string) => {
    const value = required(fields, key);
    if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > 65535)
      throw unread(`invalid value of \`${key}\`: ${JSON.stringify(value)}`);
    return value as number;
  };
  return {
    container_port: number("container_port"),
    host_port: number("host_port"),
    range: number("range"),
    host_ip: requiredText(fields, "host_ip"),
    protocol: requiredText(fields, "protocol"),
  };
}

/** A JSON object. Throws UserError. */
export function readObject(text: string): Fields {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    throw unread((error as Error).message);
  }
  if (!isObject(data)) throw unread("a JSON object is expected");
  return data;
}

/** Reads setup's and teardown's JSON. Throws UserError in netavark's words where it has some. */
export function readRequest(text: string): Request {
  const data = readObject(text);
  const wanted = wishes(required(data, "networks"));
  const networks = required(data, "network_info");
  if (!isObject(networks) || !Object.values(networks).every(isObject))
    throw unread("invalid type of `network_info`: a map of objects is expected");
  const joins = Object.entries(networks as Record<string, Fields>).map(([name, fields]): Join => {
    const wish = wanted.get(name);
    if (!wish) throw new UserError(`network options for network ${name} not found`);
    return {
      network: readNetwork(fields),
      wish: readWish(wish),
      source: { network: fields, network_options: wish },
    };
  });
  const inOrder = new Intl.Collator("en", { numeric: true });
  return {
    container_id: requiredText(data, "container_id"),
    container_name: requiredText(data, "container_name"),
    container_hostname: orAbsent(data.container_hostname),
    joins: joins.sort((a, b) => inOrder.compare(a.wish.interface_name, b.wish.interface_name)),
    port_mappings: objects(data, "port_mappings").map(readPort),
    ports: objects(data, "port_mappings"),
    dns_servers: texts(data, "dns_servers"),
  };
}

/** What netavark gives a plugin of its (plugin-API.md): one container and one network. */
export interface PluginRequest {
  container_id: string;
  container_name: string;
  port_mappings: PortMapping[];
  network: Network;
  wish: NetworkOptions;
}

/** Throws UserError. */
export function readPluginRequest(text: string): PluginRequest {
  const data = readObject(text);
  const { network, network_options: wish } = data;
  if (!isObject(network)) throw unread("missing field `network`");
  if (!isObject(wish)) throw unread("missing field `network_options`");
  return {
    container_id: requiredText(data, "container_id"),
    container_name: requiredText(data, "container_name"),
    port_mappings: objects(data, "port_mappings").map(readPort),
    network: readNetwork(network),
    wish: readWish(wish),
  };
}
