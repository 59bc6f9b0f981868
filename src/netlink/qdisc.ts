/**
 * Queueing disciplines of links (rtnetlink(7), `struct tcmsg`; linux/pkt_sched.h): the token bucket filter, which lets
 * packets leave at a rate (tc-tbf(8)), and the one that filters of arriving packets hang on.
 */
import { type Attribute, attr, body, type Message, NLM_F, parseAttributes, value } from "../wire/netlink.ts";
import type { NetlinkSocket } from "./socket.ts";

const RTM = { NEWQDISC: 36, GETQDISC: 38 } as const;
export const TCA = { KIND: 1, OPTIONS: 2 } as const;
const TCA_TBF = { PARMS: 1, RATE64: 4 } as const;
const U32_MAX = 0xffffffff;

/** Handles: `major:minor`, each of 16 bits (linux/pkt_sched.h, TC_H_*). */
export const handle = (major: number, minor = 0) => major * 0x10000 + minor;
const ROOT = handle(0xffff, 0xffff);
const INGRESS_PARENT = handle(0xffff, 0xfff1);
/** The handle that the qdisc of arriving packets always has, written `ffff:`. */
export const INGRESS = handle(0xffff);

/** A tick of the packet scheduler is 64 ns, in which buckets are measured (/proc/net/psched; PSCHED_SHIFT). */
const TICKS_PER_MICROSECOND = 1000 / 64;

/** A bucket of tokens; one byte that leaves takes one of them. */
export interface TokenBucket {
  /** Bytes a second. */
  rate: number;
  /** The bucket's size: ticks that filling it takes at this rate. */
  buffer: number;
  /** Bytes that may wait for tokens; what comes beyond is dropped. */
  limit: number;
}

export interface Qdisc {
  /** Of its link. */
  index: number;
  /** `tbf`, `ingress`, `noqueue`, … */
  kind: string;
  handle: number;
  parent: number;
  /** What the kernel has set, where it is a `tbf`. */
  bucket?: TokenBucket;
  unknown: Attribute[];
}

/** `struct tcmsg`. */
export function tcHeader(index: number, own: number, parent: number, info = 0): Uint8Array {
  const buffer = new Uint8Array(20);
  const view = new DataView(buffer.buffer);
  view.setInt32(4, index, true);
  view.setUint32(8, own, true);
  view.setUint32(12, parent, true);
  view.setUint32(16, info, true);
  return buffer;
}

/**
 * The bucket for `rate` bytes a second, of which `burst` bytes may come at once, and none waits longer than `latency`
 * microseconds behind a bucket's worth of others. Numbers beyond the kernel's are its greatest.
 */
export function tokenBucket(rate: number, burst: number, latency: number): TokenBucket {
  const microseconds = Math.trunc((burst * 1e6) / rate);
  return {
    rate,
    buffer: Math.min(Math.trunc(microseconds * TICKS_PER_MICROSECOND), U32_MAX),
    limit: Math.min(Math.trunc((rate * latency) / 1e6) + burst, U32_MAX),
  };
}

/** `struct tc_tbf_qopt`: two of `struct tc_ratespec`, of 12 bytes each and the second one unused, limit, buffer, mtu. */
const PARMS = { SIZE: 36, RATE: 8, LIMIT: 24, BUFFER: 28 } as const;

function bucketOptions({ rate, buffer, limit }: TokenBucket): Attribute[] {
  const parms = new Uint8Array(PARMS.SIZE);
  const view = new DataView(parms.buffer);
  view.setUint32(PARMS.RATE, Math.min(rate, U32_MAX), true);
  view.setUint32(PARMS.LIMIT, limit, true);
  view.setUint32(PARMS.BUFFER, buffer, true);
  const options = [attr.bytes(TCA_TBF.PARMS, parms)];
  if (rate > U32_MAX) {
    const whole = new Uint8Array(8);
    new DataView(whole.buffer).setBigUint64(0, BigInt(rate), true);
    options.push(attr.bytes(TCA_TBF.RATE64, whole));
  }
  return options;
}

function parseBucket(options: Uint8Array): TokenBucket | undefined {
  const attributes = parseAttributes(options);
  const parms = attributes.find(one => one.type === TCA_TBF.PARMS)?.value;
  const whole = attributes.find(one => one.type === TCA_TBF.RATE64)?.value;
  if (!parms || parms.length < PARMS.SIZE) return undefined;
  const at = (offset: number) => value.u32(parms.subarray(offset));
  const rate =
    whole && whole.length >= 8
      ? Number(new DataView(whole.buffer, whole.byteOffset).getBigUint64(0, true))
      : at(PARMS.RATE);
  return { rate, buffer: at(PARMS.BUFFER), limit: at(PARMS.LIMIT) };
}

export function parseQdisc(message: Message): Qdisc {
  const view = new DataView(message.body.buffer, message.body.byteOffset, message.body.byteLength);
  const qdisc: Qdisc = {
    index: view.getInt32(4, true),
    kind: "",
    handle: view.getUint32(8, true),
    parent: view.getUint32(12, true),
    unknown: [],
  };
  let options = new Uint8Array(0);
  for (const attribute of parseAttributes(message.body.subarray(20))) {
    if (attribute.type === TCA.KIND) qdisc.kind = value.string(attribute.value);
    else if (attribute.type === TCA.OPTIONS) options = new Uint8Array(attribute.value);
    else qdisc.unknown.push(attribute);
  }
  if (qdisc.kind === "tbf") qdisc.bucket = parseBucket(options);
  return qdisc;
}

/** Those of every link, or of one. A link's own default is not among them. */
export function qdiscs(nl: NetlinkSocket, index?: number): Qdisc[] {
  return nl
    .dump("list queueing disciplines", RTM.GETQDISC, tcHeader(index ?? 0, 0, 0))
    .map(parseQdisc)
    .filter(one => index === undefined || one.index === index);
}

/** The one by which packets leave the link. */
export const rootQdisc = (nl: NetlinkSocket, index: number): Qdisc | undefined =>
  qdiscs(nl, index).find(one => one.parent === ROOT);

function add(nl: NetlinkSocket, index: number, own: number, parent: number, attributes: Attribute[]): void {
  nl.request(
    `add a queueing discipline to link ${index}`,
    RTM.NEWQDISC,
    NLM_F.CREATE | NLM_F.EXCL,
    body(tcHeader(index, own, parent), attributes),
  );
}

/** Packets leave the link at the rate of a bucket, as `1:`. EEXIST where the link has such a one already. */
export function addTokenBucket(nl: NetlinkSocket, index: number, bucket: TokenBucket): void {
  add(nl, index, handle(1), ROOT, [
    attr.string(TCA.KIND, "tbf"),
    attr.nested(TCA.OPTIONS, bucketOptions(bucket)),
  ]);
}

/** Lets filters look at packets that arrive by the link. EEXIST where the link has it already. */
export function addIngress(nl: NetlinkSocket, index: number): void {
  add(nl, index, INGRESS, INGRESS_PARENT, [attr.string(TCA.KIND, "ingress")]);
}
