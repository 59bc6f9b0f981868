/** Rules: which routing table a packet is looked up in (rtnetlink(7), `fib_rule_hdr`; `ip rule`). */
import { UserError } from "../base/errors.ts";
import { type Cidr, formatCidr, formatIP, parseCidr } from "../wire/addr.ts";
import { type Attribute, attr, body, type Message, NLM_F, parseAttributes, value } from "../wire/netlink.ts";
import type { NetlinkSocket } from "./socket.ts";

const RTM = { NEWRULE: 32, DELRULE: 33, GETRULE: 34 } as const;
const FRA = {
  DST: 1,
  SRC: 2,
  IIFNAME: 3,
  PRIORITY: 6,
  FWMARK: 10,
  TABLE: 15,
  FWMASK: 16,
  OIFNAME: 17,
} as const;
const FR_ACT_TO_TBL = 1;
const AF = { 4: 2, 6: 10 } as const;

export interface Rule {
  family: 4 | 6;
  priority: number;
  table: number;
  /** Networks; `""` for any. */
  from: string;
  to: string;
  /** Names of links; `""` for any. */
  iif: string;
  oif: string;
  mark: number;
  mask: number;
  /** `FR_ACT_*`; 1 looks up `table`. */
  action: number;
  unknown: Attribute[];
}

/** `fib_rule_hdr`. */
function header(family: 4 | 6, from: number, to: number, table: number): Uint8Array {
  const buffer = new Uint8Array(12);
  buffer.set([AF[family], to, from, 0, Math.min(table, 255), 0, 0, FR_ACT_TO_TBL]);
  return buffer;
}

function parse(message: Message, family: 4 | 6): Rule {
  const view = new DataView(message.body.buffer, message.body.byteOffset, message.body.byteLength);
  const rule: Rule = {
    family,
    priority: 0,
    table: view.getUint8(4),
    from: "",
    to: "",
    iif: "",
    oif: "",
    mark: 0,
    mask: 0,
    action: view.getUint8(7),
    unknown: [],
  };
  const network = (bytes: Uint8Array, prefix: number) => `${formatIP({ family, bytes })}/${prefix}`;
  for (const attribute of parseAttributes(message.body.subarray(12))) {
    const bytes = attribute.value;
    if (attribute.type === FRA.DST) rule.to = network(bytes, view.getUint8(1));
    else if (attribute.type === FRA.SRC) rule.from = network(bytes, view.getUint8(2));
    else if (attribute.type === FRA.IIFNAME) rule.iif = value.string(bytes);
    else if (attribute.type === FRA.OIFNAME) rule.oif = value.string(bytes);
    else if (attribute.type === FRA.PRIORITY) rule.priority = value.u32(bytes);
    else if (attribute.type === FRA.FWMARK) rule.mark = value.u32(bytes);
    else if (attribute.type === FRA.FWMASK) rule.mask = value.u32(bytes);
    else if (attribute.type === FRA.TABLE) rule.table = value.u32(bytes);
    else rule.unknown.push(attribute);
  }
  return rule;
}

/** The rules of one family in the order in which they are tried. */
export function rules(nl: NetlinkSocket, family: 4 | 6 = 4): Rule[] {
  return nl
    .dump("list rules", RTM.GETRULE, header(family, 0, 0, 0).fill(0, 7))
    .map(message => parse(message, family))
    .sort((a, b) => a.priority - b.priority);
}

export interface NewRule {
  /** Told by the networks where any is given. */
  family?: 4 | 6;
  /** The kernel's choice, before all others that it chose, where absent; at a deletion any. */
  priority?: number;
  table: number;
  from?: string;
  to?: string;
  iif?: string;
  oif?: string;
  mark?: number;
  mask?: number;
}

function networkOf(text: string | undefined): Cidr | undefined {
  if (text === undefined) return undefined;
  const cidr = parseCidr(text);
  if (!cidr) throw new UserError(`invalid network ${JSON.stringify(text)}`, { hint: "as in 10.1.0.0/16" });
  return cidr;
}

function encode(spec: NewRule): Uint8Array {
  const [from, to] = [networkOf(spec.from), networkOf(spec.to)];
  if (from && to && from.ip.family !== to.ip.family)
    throw new UserError(
      `a rule from ${formatCidr(from)} to ${formatCidr(to)}: the two are of different families`,
    );
  const family = from?.ip.family ?? to?.ip.family ?? spec.family ?? 4;
  const attributes = [attr.u32(FRA.TABLE, spec.table)];
  if (spec.priority !== undefined) attributes.unshift(attr.u32(FRA.PRIORITY, spec.priority));
  if (from) attributes.push(attr.bytes(FRA.SRC, from.ip.bytes));
  if (to) attributes.push(attr.bytes(FRA.DST, to.ip.bytes));
  if (spec.iif) attributes.push(attr.string(FRA.IIFNAME, spec.iif));
  if (spec.oif) attributes.push(attr.string(FRA.OIFNAME, spec.oif));
  if (spec.mark !== undefined) attributes.push(attr.u32(FRA.FWMARK, spec.mark));
  if (spec.mask !== undefined) attributes.push(attr.u32(FRA.FWMASK, spec.mask));
  return body(header(family, from?.prefix ?? 0, to?.prefix ?? 0, spec.table), attributes);
}

/** Adds a rule; EEXIST when the very same is there. */
export function addRule(nl: NetlinkSocket, spec: NewRule): void {
  nl.request(`add rule ${spec.priority ?? spec.from}`, RTM.NEWRULE, NLM_F.CREATE | NLM_F.EXCL, encode(spec));
}

/** ENOENT when there is no such rule. */
export function deleteRule(nl: NetlinkSocket, spec: NewRule): void {
  nl.request(`delete rule ${spec.priority ?? spec.from}`, RTM.DELRULE, 0, encode(spec));
}
