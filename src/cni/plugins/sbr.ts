/**
 * sbr: source-based routing. What the container sends from an address of this interface leaves by this interface,
 * wherever it goes: each address gets a routing table of its own, and a rule that leads to it.
 */
import { errorText, hasCode } from "../../base/errors.ts";
import { addresses } from "../../netlink/address.ts";
import { linkByName } from "../../netlink/link.ts";
import { addRoute, putRoute, type Route, routes, takeRoute } from "../../netlink/route.ts";
import { addRule, deleteRule, type Rule, rules } from "../../netlink/rule.ts";
import type { NetlinkSocket } from "../../netlink/socket.ts";
import * as netns from "../../sys/netns.ts";
import { type Cidr, contains, formatCidr, formatIP, networkOf, parseCidr, parseIP } from "../../wire/addr.ts";
import { CNI_ERROR, CniError, type PluginConf, type Result } from "../types.ts";
import { checkFields, type Field } from "./field.ts";
import { lockedInside } from "./locked.ts";
import type { Plugin, PluginContext } from "./plugin.ts";

const FIELDS: readonly Field[] = [
  {
    name: "table",
    type: "integer",
    default: "the first free ones from 100",
    text: "The table that the rules lead to; its routes are the address plugin's (`table` of a route) and none is moved.",
  },
  {
    name: "gateways",
    type: "strings",
    default: "those of the result",
    text: "Gateways of the default routes in the tables, for the addresses that can reach them.",
  },
  {
    name: "addSourceHints",
    type: "boolean",
    default: "false",
    text: "The networks on the interface stay in the main table too, with the address as their source.",
  },
];

const FIRST_TABLE = 100;
const DEFAULT = { 4: "0.0.0.0/0", 6: "::/0" } as const;

const invalid = (message: string) => new CniError(CNI_ERROR.INVALID_CONFIG, message);
const failed = (message: string) => new CniError(CNI_ERROR.INTERNAL, message);

interface SbrConf {
  table?: number;
  gateways: string[];
  addSourceHints: boolean;
}

function confOf(conf: PluginConf): SbrConf {
  checkFields(FIELDS, conf);
  const table = (conf.table ?? undefined) as number | undefined;
  if (table !== undefined && (table < 1 || table > 0xffffffff)) throw invalid(`invalid table ${table}`);
  const gateways = ((conf.gateways ?? []) as string[]).map(text => {
    const ip = parseIP(text);
    if (!ip) throw invalid(`invalid gateway address: ${text}`);
    return formatIP(ip);
  });
  return { table, gateways, addSourceHints: conf.addSourceHints === true };
}

/** An address of the interface. */
interface Source {
  cidr: Cidr;
  /** `10.1.2.3/32`: what the rule is about. */
  from: string;
  gateway?: string;
}

/** The result's addresses on the interface; one that does not say where it is counts too. */
function sourcesOf(result: Result, ifName: string, gateways: readonly string[]): Source[] {
  return result.ips
    .filter(
      ({ interface: index }) =>
        (index === undefined ? ifName : (result.interfaces[index]?.name ?? ifName)) === ifName,
    )
    .map(({ address, gateway }) => {
      const cidr = parseCidr(address);
      if (!cidr) throw failed(`invalid address ${JSON.stringify(address)} in a result`);
      const ofOurs = gateways.find(text => contains(cidr, parseIP(text)!));
      const from = `${formatIP(cidr.ip)}/${cidr.ip.bytes.length * 8}`;
      return { cidr, from, gateway: ofOurs ?? gateway };
    });
}

const within = ({ cidr }: Source, text: string) => text !== "" && contains(cidr, parseIP(text)!);
const isLinkLocal = ({ family, dst, gateway }: Route) =>
  family === 6 && gateway === "" && dst === "fe80::/64";

/** Whether a route goes with an address: it names it or its network, or nobody's. */
const belongs = (route: Route, source: Source, all: readonly Source[]) =>
  route.family === source.cidr.ip.family &&
  (within(source, route.source) ||
    within(source, route.gateway) ||
    !all.some(one => within(one, route.source) || within(one, route.gateway)));

/** Gives tables that no rule leads to and that have no routes. */
function* freeTables(nl: NetlinkSocket): Generator<number, never> {
  const taken = new Set(
    [...rules(nl, 4), ...rules(nl, 6), ...routes(nl, { table: "all" })].map(one => one.table),
  );
  for (let table = FIRST_TABLE; ; table++) if (!taken.has(table)) yield table;
}

function addDefault(nl: NetlinkSocket, index: number, { cidr, gateway }: Source, table: number): void {
  if (!gateway) return;
  try {
    addRoute(nl, { dst: DEFAULT[cidr.ip.family], gateway, index, table });
  } catch (error) {
    if (!hasCode(error, "EEXIST"))
      throw failed(`Failed to add default route to ${gateway}: ${errorText(error)}`);
  }
}

/** The network of an address in the main table again: to there, who names no source gets this one. */
function hintAt(nl: NetlinkSocket, index: number, { cidr }: Source, route: Route): void {
  const isIts =
    route.gateway === "" && route.dst === formatCidr({ ip: networkOf(cidr), prefix: cidr.prefix });
  if (!isIts) return;
  const { dst, metric } = route;
  addRoute(nl, { dst, index, metric, source: formatIP(cidr.ip), scope: "link", append: true });
}

/** Moves the interface's routes into tables of their own, one an address. */
function moveRoutes(nl: NetlinkSocket, index: number, sources: readonly Source[], hints: boolean): void {
  const moving = routes(nl).filter(one => one.index === index);
  const tables = freeTables(nl);
  for (const source of sources) {
    const table = tables.next().value;
    addRule(nl, { from: source.from, table });
    // The gateway can be reached by the routes of the main table, which are there still.
    addDefault(nl, index, source, table);
    for (const route of moving) if (belongs(route, source, sources)) putRoute(nl, { ...route, table });
  }
  for (const route of moving) {
    // Neighbours are spoken to from link-local addresses, which no rule is about.
    if (!isLinkLocal(route)) takeRoute(nl, route);
    if (hints) for (const source of sources) hintAt(nl, index, source, route);
  }
}

const isAbout = (rule: Rule, sources: ReadonlySet<string>, table: number | undefined) =>
  sources.has(rule.from) && (table === undefined || rule.table === table);

export const sbr: Plugin = {
  fields: FIELDS,
  add(context) {
    const { table, gateways, addSourceHints } = confOf(context.conf);
    const result = context.prevResult;
    if (!result) throw invalid("This plugin must be called as chained plugin");
    if (result.ips.length === 0) throw failed(`No IP addresses supplied on interface: ${context.ifName}`);
    const sources = sourcesOf(result, context.ifName, gateways);
    lockedInside(context.netns, nl => {
      const link = linkByName(nl, context.ifName);
      if (!link) throw failed(`Cannot find network interface ${context.ifName}`);
      if (table === undefined) return moveRoutes(nl, link.index, sources, addSourceHints);
      for (const source of sources) {
        addRule(nl, { from: source.from, table });
        if (gateways.length > 0) addDefault(nl, link.index, source, table);
      }
    });
    return result;
  },

  /** The tables end with the interface, whose routes they hold. */
  del(context) {
    if (!context.netns || !netns.isNetns(context.netns)) return;
    const table = context.conf.table as number | undefined;
    lockedInside(context.netns, nl => {
      const link = linkByName(nl, context.ifName);
      const known = context.prevResult ? sourcesOf(context.prevResult, context.ifName, []) : [];
      const sources = new Set(known.map(one => one.from));
      for (const { ip, family } of link ? addresses(nl, { index: link.index }) : [])
        sources.add(`${ip}/${family === 4 ? 32 : 128}`);
      for (const rule of [...rules(nl, 4), ...rules(nl, 6)])
        if (isAbout(rule, sources, table))
          deleteRule(nl, { from: rule.from, priority: rule.priority, table: rule.table });
    });
  },

  check(context: PluginContext) {
    const { table } = confOf(context.conf);
    if (!context.prevResult) throw invalid("This plugin must be called as chained plugin");
    const sources = sourcesOf(context.prevResult, context.ifName, []);
    lockedInside(context.netns, nl => {
      const there = routes(nl, { table: "all" });
      for (const { from, cidr } of sources) {
        const { family } = cidr.ip;
        const found = rules(nl, family).filter(one => isAbout(one, new Set([from]), table));
        if (found.length === 0) throw failed(`no rule leads from ${from} to a table of its own`);
        if (found.some(rule => there.some(one => one.table === rule.table && one.family === family)))
          continue;
        throw failed(`table ${found[0]!.table}, to which the rule from ${from} leads, has no routes`);
      }
    });
  },

  status: ({ conf }) => void confOf(conf),
};
