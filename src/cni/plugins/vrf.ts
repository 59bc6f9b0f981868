/**
 * vrf: puts the container's interface into a virtual router of the container (a VRF), which has a routing table of its own:
 * interfaces of several networks may have the same addresses there.
 */
import { hasCode } from "../../base/errors.ts";
import { type Address, addAddress, addresses, IFA_F } from "../../netlink/address.ts";
import { deleteLink, type Link, linkByIndex, linkByName, links, setLink } from "../../netlink/link.ts";
import { addLink, IFLA_VRF, knowsKind } from "../../netlink/new-link.ts";
import { putRoute, type Route, routes } from "../../netlink/route.ts";
import { rules } from "../../netlink/rule.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import * as netns from "../../sys/netns.ts";
import { value } from "../../wire/netlink.ts";
import { CNI_ERROR, CniError, type PluginConf } from "../types.ts";
import { checkFields, type Field } from "./field.ts";
import { lockedInside } from "./locked.ts";
import type { Plugin } from "./plugin.ts";

const FIELDS: readonly Field[] = [
  {
    name: "vrfname",
    type: "string",
    default: "required",
    text: "Name of the VRF; made where it is not there.",
  },
  {
    name: "table",
    type: "integer",
    default: "the first free one from 1",
    text: "Routing table of the VRF; of one that is there, the table that it must have.",
  },
];

const RTPROT_KERNEL = 2;
const SCOPE_GLOBAL = 0;

const invalid = (message: string) => new CniError(CNI_ERROR.INVALID_CONFIG, message);
const failed = (message: string) => new CniError(CNI_ERROR.INTERNAL, message);

interface VrfConf {
  name: string;
  table?: number;
}

function confOf(conf: PluginConf): VrfConf {
  checkFields(FIELDS, conf);
  const name = conf.vrfname as string | undefined;
  if (!name) throw invalid("configuration is expected to have a valid vrf name");
  const table = (conf.table as number | undefined) || undefined;
  if (table !== undefined && (table < 0 || table > 0xffffffff)) throw invalid(`invalid table ${table}`);
  return { name, table };
}

function tableOf({ info }: Link): number {
  const table = info.find(one => one.type === IFLA_VRF.TABLE);
  return table ? value.u32(table.value) : 0;
}

function find(nl: NetlinkSocket, name: string): Link | undefined {
  const link = linkByName(nl, name);
  if (link && link.kind !== "vrf") throw failed(`Netlink ${name} is not a VRF`);
  return link;
}

/** The first table from 1 that is no VRF's, that no rule leads to, and that has no routes. */
function freeTable(nl: NetlinkSocket): number {
  const vrfs = links(nl).filter(one => one.kind === "vrf");
  const used = [...rules(nl, 4), ...rules(nl, 6), ...routes(nl, { table: "all" })].map(one => one.table);
  const taken = new Set([...vrfs.map(tableOf), ...used]);
  let table = 1;
  while (taken.has(table)) table++;
  return table;
}

function make(nl: NetlinkSocket, { name, table }: VrfConf): Link {
  try {
    addLink(nl, { kind: "vrf", name, vrfTable: table ?? freeTable(nl), up: true });
  } catch (error) {
    if (hasCode(error, "EOPNOTSUPP"))
      throw failed(`could not add VRF ${name}: the kernel has no links of kind vrf (module vrf)`);
    throw error;
  }
  return find(nl, name)!;
}

/** What the kernel forgets of an interface when that gets another master. */
interface Kept {
  addresses: Address[];
  routes: Route[];
}

/** Addresses of IPv6 go (unless keep_addr_on_down is set), and with them all routes that somebody added. */
function keep(nl: NetlinkSocket, index: number): Kept {
  return {
    addresses: addresses(nl, { index, family: 6 }).filter(one => one.scope !== "link"),
    routes: routes(nl)
      .filter(one => one.index === index && one.scope === SCOPE_GLOBAL && one.protocol !== RTPROT_KERNEL)
      // A gateway must be known before a route leads there.
      .sort((a, b) => Number(a.gateway !== "") - Number(b.gateway !== "")),
  };
}

function restore(nl: NetlinkSocket, index: number, kept: Kept, table: number): void {
  const there = addresses(nl, { index, family: 6 }).map(one => `${one.ip}/${one.prefix}`);
  for (const { ip, prefix } of kept.addresses) {
    const address = `${ip}/${prefix}`;
    // It was this interface's a moment ago: nobody has to be asked.
    if (!there.includes(address)) addAddress(nl, { index, address, flags: IFA_F.NODAD });
  }
  for (const route of kept.routes) putRoute(nl, { ...route, table });
}

/** Puts the interface into the VRF, which is made where it is not there. Works in the namespace of the socket. */
export function joinVrf(nl: NetlinkSocket, conf: VrfConf, ifName: string): void {
  const link = linkByName(nl, ifName);
  if (!link) throw failed(`could not get link by name ${ifName}`);
  if (link.master !== 0)
    throw failed(`interface ${ifName} has already a master set: ${linkByIndex(nl, link.master)?.name}`);
  const there = find(nl, conf.name);
  if (there && conf.table !== undefined && tableOf(there) !== conf.table)
    throw failed(`VRF ${conf.name} already exist with different routing table ${tableOf(there)}`);
  const vrf = there ?? make(nl, conf);
  const kept = keep(nl, link.index);
  setLink(nl, link.index, { master: vrf.index });
  restore(nl, link.index, kept, tableOf(vrf));
}

/** Takes the interface out of the VRF, which goes with its last one. Quiet where either is gone. */
export function leaveVrf(nl: NetlinkSocket, name: string, ifName: string): void {
  const vrf = linkByName(nl, name);
  if (vrf?.kind !== "vrf") return;
  const link = linkByName(nl, ifName);
  if (link?.master === vrf.index) setLink(nl, link.index, { master: 0 });
  if (!links(nl).some(one => one.master === vrf.index)) deleteLink(nl, vrf.index);
}

/** Throws where the interface is not in the VRF. */
export function checkVrf(nl: NetlinkSocket, { name, table }: VrfConf, ifName: string): void {
  const vrf = find(nl, name);
  if (!vrf) throw failed(`VRF ${name} is not there`);
  if (table !== undefined && tableOf(vrf) !== table)
    throw failed(`VRF ${name} has routing table ${tableOf(vrf)}, not ${table}`);
  if (linkByName(nl, ifName)?.master !== vrf.index)
    throw failed(`Failed to find ${ifName} associated to vrf ${name}`);
}

export const vrf: Plugin = {
  fields: FIELDS,
  add(context) {
    const conf = confOf(context.conf);
    if (!context.prevResult) throw invalid("missing prevResult from earlier plugin");
    lockedInside(context.netns, nl => joinVrf(nl, conf, context.ifName));
    return context.prevResult;
  },
  del(context) {
    const name = context.conf.vrfname as string | undefined;
    if (!name || !context.netns || !netns.isNetns(context.netns)) return;
    lockedInside(context.netns, nl => leaveVrf(nl, name, context.ifName));
  },
  check(context) {
    const conf = confOf(context.conf);
    if (!context.prevResult) throw invalid("missing prevResult from earlier plugin");
    lockedInside(context.netns, nl => checkVrf(nl, conf, context.ifName));
  },
  status({ conf }) {
    confOf(conf);
    using nl = new NetlinkSocket();
    if (!knowsKind(nl, "vrf"))
      throw new CniError(
        CNI_ERROR.NOT_AVAILABLE,
        "the kernel has no links of kind vrf (module vrf), into which interfaces are to be put",
      );
  },
};
