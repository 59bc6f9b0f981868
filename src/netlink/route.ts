/** Routes (rtnetlink(7), `rtmsg`). */
import { UserError } from "../base/errors.ts";
import { formatCidr, formatIP, type IpAddress, networkOf, parseCidr, parseIP } from "../wire/addr.ts";
import { type Attribute, attr, body, type Message, NLM_F, parseAttributes, value } from "../wire/netlink.ts";
import type { NetlinkSocket } from "./socket.ts";

const RTM = { NEWROUTE: 24, DELROUTE: 25, GETROUTE: 26 } as const;
const RTA = { DST: 1, IIF: 3, OIF: 4, GATEWAY: 5, PRIORITY: 6, PREFSRC: 7, METRICS: 8, TABLE: 15 } as const;
const RTAX = { MTU: 2, ADVMSS: 8 } as const;
const RT_TABLE_MAIN = 254;
const RTPROT = { kernel: 2, boot: 3, static: 4 } as const;
const RTN = { unicast: 1, local: 2, blackhole: 6, unreachable: 7, prohibit: 8 } as const;
const RTNH_F_ONLINK = 4;
const SCOPE = { global: 0, link: 253, host: 254 } as const;
const AF = { 4: 2, 6: 10 } as const;

export interface Route {
  family: 4 | 6;
  /** `0.0.0.0/0` and `::/0` for the default route. */
  dst: string;
  gateway: string;
  /** Index of the link it leaves by; 0 for none. */
  index: number;
  source: string;
  metric: number;
  table: number;
  protocol: number;
  scope: number;
  type: number;
  /** RTNH_F_*: 4 where the gateway counts as on the link. */
  flags: number;
  unknown: Attribute[];
}

function parse(message: Message): Route {
  const view = new DataView(message.body.buffer, message.body.byteOffset, message.body.byteLength);
  const family = view.getUint8(0) === AF[4] ? 4 : 6;
  const prefix = view.getUint8(1);
  const ip = (bytes: Uint8Array) => formatIP({ family, bytes });
  const route: Route = {
    family,
    dst: family === 4 ? "0.0.0.0/0" : "::/0",
    gateway: "",
    index: 0,
    source: "",
    metric: 0,
    table: view.getUint8(4),
    protocol: view.getUint8(5),
    scope: view.getUint8(6),
    type: view.getUint8(7),
    flags: view.getUint32(8, true),
    unknown: [],
  };
  for (const attribute of parseAttributes(message.body.subarray(12))) {
    const bytes = attribute.value;
    switch (attribute.type) {
      case RTA.DST:
        route.dst = `${ip(bytes)}/${prefix}`;
        break;
      case RTA.GATEWAY:
        route.gateway = ip(bytes);
        break;
      case RTA.OIF:
        route.index = value.u32(bytes);
        break;
      case RTA.PREFSRC:
        route.source = ip(bytes);
        break;
      case RTA.PRIORITY:
        route.metric = value.u32(bytes);
        break;
      case RTA.TABLE:
        route.table = value.u32(bytes);
        break;
      default:
        route.unknown.push(attribute);
    }
  }
  return route;
}

function header(
  family: number,
  prefix: number,
  fields: { table?: number; protocol?: number; scope?: number; type?: number; flags?: number } = {},
): Uint8Array {
  const buffer = new Uint8Array(12);
  buffer.set([
    family,
    prefix,
    0,
    0,
    Math.min(fields.table ?? 0, 255),
    fields.protocol ?? 0,
    fields.scope ?? 0,
    fields.type ?? 0,
  ]);
  new DataView(buffer.buffer).setUint32(8, fields.flags ?? 0, true);
  return buffer;
}

/** The routes of one table (the main one unless said otherwise) or of all. */
export function routes(nl: NetlinkSocket, filter: { family?: 4 | 6; table?: number | "all" } = {}): Route[] {
  const table = filter.table ?? RT_TABLE_MAIN;
  const families = filter.family ? [filter.family] : ([4, 6] as const);
  return families.flatMap(family =>
    nl
      .dump("list routes", RTM.GETROUTE, header(AF[family], 0))
      .map(parse)
      .filter(route => table === "all" || route.table === table),
  );
}

export interface NewRoute {
  /** A network; `0.0.0.0/0` or `::/0` for the default. */
  dst: string;
  gateway?: string;
  index?: number;
  source?: string;
  metric?: number;
  table?: number;
  /** By name or number (RT_SCOPE_*). */
  scope?: keyof typeof SCOPE | number;
  mtu?: number;
  /** The greatest segment that TCP asks for from there. */
  advmss?: number;
  onlink?: boolean;
  /** `local`: packets to there are this namespace's own. The last three lead nowhere, and have no link. */
  type?: keyof typeof RTN;
  /** Who made it, for others to see (linux/rtnetlink.h, RTPROT_*); `boot` where nothing is said. */
  protocol?: keyof typeof RTPROT;
  /** Behind the routes of the same destination and metric that are there; IPv6 shares packets out among such. */
  append?: boolean;
}

function requireIp(text: string): IpAddress {
  const ip = parseIP(text);
  if (!ip) throw new UserError(`invalid address ${JSON.stringify(text)}`);
  return ip;
}

function encode(spec: NewRoute): Uint8Array {
  const cidr = parseCidr(spec.dst);
  if (!cidr)
    throw new UserError(`invalid route destination ${JSON.stringify(spec.dst)}`, {
      hint: "a network, as in 10.1.0.0/16",
    });
  const attributes: Attribute[] = [];
  if (cidr.prefix > 0) attributes.push(attr.bytes(RTA.DST, networkOf(cidr).bytes));
  if (spec.gateway) attributes.push(attr.bytes(RTA.GATEWAY, requireIp(spec.gateway).bytes));
  if (spec.index) attributes.push(attr.u32(RTA.OIF, spec.index));
  if (spec.source) attributes.push(attr.bytes(RTA.PREFSRC, requireIp(spec.source).bytes));
  if (spec.metric) attributes.push(attr.u32(RTA.PRIORITY, spec.metric));
  const metrics = [
    ...(spec.mtu ? [attr.u32(RTAX.MTU, spec.mtu)] : []),
    ...(spec.advmss ? [attr.u32(RTAX.ADVMSS, spec.advmss)] : []),
  ];
  if (metrics.length > 0) attributes.push(attr.nested(RTA.METRICS, metrics));
  const table = spec.table ?? RT_TABLE_MAIN;
  attributes.push(attr.u32(RTA.TABLE, table));
  const isFar = spec.gateway || cidr.ip.family === 6 || RTN[spec.type ?? "unicast"] >= RTN.blackhole;
  const wanted = spec.scope ?? (isFar ? "global" : "link");
  const scope = typeof wanted === "number" ? wanted : SCOPE[wanted];
  return body(
    header(AF[cidr.ip.family], cidr.prefix, {
      table,
      protocol: RTPROT[spec.protocol ?? "boot"],
      scope,
      type: RTN[spec.type ?? "unicast"],
      flags: spec.onlink ? RTNH_F_ONLINK : 0,
    }),
    attributes,
  );
}

/** Adds a route; EEXIST when there is one of the same destination and metric, unless it is appended. */
export function addRoute(nl: NetlinkSocket, spec: NewRoute): void {
  const how = NLM_F.CREATE | (spec.append ? NLM_F.APPEND : NLM_F.EXCL);
  nl.request(`add route ${spec.dst}`, RTM.NEWROUTE, how, encode(spec));
}

export function deleteRoute(nl: NetlinkSocket, spec: NewRoute): void {
  nl.request(`delete route ${spec.dst}`, RTM.DELROUTE, 0, encode(spec));
}

/** What a dump says about a route that is no part of it: RTA_CACHEINFO, RTA_EXPIRES. */
const ABOUT: readonly number[] = [12, 23];

/** A route as it was read, whatever it holds. */
function encodeWhole(route: Route): Uint8Array {
  const cidr = parseCidr(route.dst)!;
  const attributes = route.unknown.filter(one => !ABOUT.includes(one.type));
  if (cidr.prefix > 0) attributes.push(attr.bytes(RTA.DST, cidr.ip.bytes));
  if (route.gateway) attributes.push(attr.bytes(RTA.GATEWAY, requireIp(route.gateway).bytes));
  if (route.index) attributes.push(attr.u32(RTA.OIF, route.index));
  if (route.source) attributes.push(attr.bytes(RTA.PREFSRC, requireIp(route.source).bytes));
  if (route.metric) attributes.push(attr.u32(RTA.PRIORITY, route.metric));
  attributes.push(attr.u32(RTA.TABLE, route.table));
  const flags = route.flags & RTNH_F_ONLINK;
  return body(header(AF[route.family], cidr.prefix, { ...route, flags }), attributes);
}

/** Puts a route that was read, perhaps changed, where it says; in the place of one of the same destination and metric. */
export function putRoute(nl: NetlinkSocket, route: Route): void {
  nl.request(`put route ${route.dst}`, RTM.NEWROUTE, NLM_F.CREATE | NLM_F.REPLACE, encodeWhole(route));
}

/** Takes away a route as it was read. */
export function takeRoute(nl: NetlinkSocket, route: Route): void {
  nl.request(`delete route ${route.dst}`, RTM.DELROUTE, 0, encodeWhole(route));
}

/** The route that the kernel would take to `ip`; undefined when there is none. */
export function routeTo(nl: NetlinkSocket, text: string): Route | undefined {
  const ip = requireIp(text);
  try {
    const [message] = nl.request(
      `find the route to ${text}`,
      RTM.GETROUTE,
      0,
      body(header(AF[ip.family], ip.bytes.length * 8), [attr.bytes(RTA.DST, ip.bytes)]),
    );
    return message && parse(message);
  } catch (error) {
    if (["ENETUNREACH", "EHOSTUNREACH", "ESRCH"].includes((error as { code?: string }).code ?? ""))
      return undefined;
    throw error;
  }
}

/** `10.88.3.4/16` → `10.88.0.0/16`. */
export function networkText(address: string): string {
  const cidr = parseCidr(address);
  if (!cidr) throw new UserError(`invalid address ${JSON.stringify(address)}`);
  return formatCidr({ ip: networkOf(cidr), prefix: cidr.prefix });
}
