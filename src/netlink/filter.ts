/**
 * Filters of arriving packets (rtnetlink(7), `struct tcmsg`; linux/pkt_cls.h): one that sends all of them out by another
 * link instead (tc-u32(8), tc-mirred(8)).
 */
import { type Attribute, attr, body, NLM_F, parseAttributes, value } from "../wire/netlink.ts";
import { handle, INGRESS, TCA, tcHeader } from "./qdisc.ts";
import type { NetlinkSocket } from "./socket.ts";

const RTM = { NEWTFILTER: 44, GETTFILTER: 46 } as const;
const TCA_U32 = { CLASSID: 1, SEL: 5, ACT: 7 } as const;
const TCA_ACT = { KIND: 1, OPTIONS: 2 } as const;
const TCA_MIRRED_PARMS = 2;
const TCA_EGRESS_REDIR = 1;
const TC_ACT_STOLEN = 4;
const TC_U32_TERMINAL = 1;
const ETH_P_ALL = 0x0003;

/** `struct tc_u32_sel` with one `struct tc_u32_key` of nothing but zeros, which every packet fits. */
function everything(): Uint8Array {
  const selector = new Uint8Array(16 + 16);
  selector[0] = TC_U32_TERMINAL;
  selector[2] = 1;
  return selector;
}

/** `struct tc_mirred`: `struct tc_gen` (index, capab, action, refcnt, bindcnt), eaction, ifindex. */
const MIRRED = { SIZE: 28, ACTION: 8, EACTION: 20, IFINDEX: 24 } as const;

function redirect(to: number): Attribute {
  const parms = new Uint8Array(MIRRED.SIZE);
  const view = new DataView(parms.buffer);
  view.setInt32(MIRRED.ACTION, TC_ACT_STOLEN, true);
  view.setInt32(MIRRED.EACTION, TCA_EGRESS_REDIR, true);
  view.setUint32(MIRRED.IFINDEX, to, true);
  const order = 1;
  return attr.nested(order, [
    attr.string(TCA_ACT.KIND, "mirred"),
    attr.nested(TCA_ACT.OPTIONS, [attr.bytes(TCA_MIRRED_PARMS, parms)]),
  ]);
}

/** Sends what arrives by a link out by another one. The link has `addIngress`'s qdisc. */
export function addRedirect(nl: NetlinkSocket, index: number, to: number): void {
  const priority = 1;
  // `tcm_info` is the priority and, in network byte order, the EtherType.
  const info = priority * 0x10000 + (ETH_P_ALL << 8);
  nl.request(
    `redirect what arrives by link ${index} to link ${to}`,
    RTM.NEWTFILTER,
    NLM_F.CREATE | NLM_F.EXCL,
    body(tcHeader(index, 0, INGRESS, info), [
      attr.string(TCA.KIND, "u32"),
      attr.nested(TCA.OPTIONS, [
        attr.bytes(TCA_U32.SEL, everything()),
        attr.u32(TCA_U32.CLASSID, handle(1, 1)),
        attr.nested(TCA_U32.ACT, [redirect(to)]),
      ]),
    ]),
  );
}

const within = (attributes: readonly Attribute[], type: number): Attribute[] => {
  const found = attributes.find(one => one.type === type);
  return found ? parseAttributes(found.value) : [];
};

/** Index of the link that an action of a dump redirects to. */
function targetOf(action: Attribute): number | undefined {
  const parts = parseAttributes(action.value);
  const kind = parts.find(one => one.type === TCA_ACT.KIND);
  const parms = within(parts, TCA_ACT.OPTIONS).find(one => one.type === TCA_MIRRED_PARMS)?.value;
  const is = kind && value.string(kind.value) === "mirred" && parms && parms.length >= MIRRED.SIZE;
  return is ? value.u32(parms.subarray(MIRRED.IFINDEX)) : undefined;
}

/** Indices of the links that u32 filters of arriving packets send them to. */
export function redirects(nl: NetlinkSocket, index: number): number[] {
  return nl
    .dump("list filters", RTM.GETTFILTER, tcHeader(index, 0, INGRESS))
    .flatMap(message => {
      const attributes = parseAttributes(message.body.subarray(20));
      return within(within(attributes, TCA.OPTIONS), TCA_U32.ACT).map(targetOf);
    })
    .filter(one => one !== undefined);
}
