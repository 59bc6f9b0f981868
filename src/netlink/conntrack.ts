/**
 * Connection tracking (ctnetlink, linux/netfilter/nfnetlink_conntrack.h): which flows the kernel remembers, and how to
 * make it forget one.
 *
 * A UDP flow is remembered for as long as packets keep coming, with the translation it got when it began. So a client
 * that never stops sending stays with the host, or with a container that is gone, until the flow is forgotten.
 */
import { formatIP } from "../wire/addr.ts";
import { type Attribute, attr, body, NLM_F, parseAttributes } from "../wire/netlink.ts";
import { routeTo } from "./route.ts";
import { NetlinkSocket } from "./socket.ts";

const SUBSYSTEM = 1 << 8;
const CT = { GET: SUBSYSTEM | 1, DELETE: SUBSYSTEM | 2 } as const;
const CTA = { TUPLE_ORIG: 1, ID: 12, ZONE: 18 } as const;
const CTA_TUPLE = { IP: 1, PROTO: 2 } as const;
const CTA_IP = { V4_DST: 2, V6_DST: 4 } as const;
const CTA_PROTO = { NUM: 1, DST_PORT: 3 } as const;
const FAMILY = { 4: 2, 6: 10 } as const;
const UDP = 17;
const RTN_LOCAL = 2;

/** A flow as its first packet saw it. */
export interface Flow {
  version: 4 | 6;
  protocol: number;
  /** Where the first packet was sent, before any translation. */
  destination: string;
  destinationPort: number;
  /** What the kernel needs to find the flow again. */
  identity: Attribute[];
}

const find = (attributes: readonly Attribute[], type: number) =>
  attributes.find(one => one.type === type)?.value;

/** `nfgenmsg`: family, version 0, resource id 0. */
const header = (version: 4 | 6) => Uint8Array.of(FAMILY[version], 0, 0, 0);

/** Every flow of one address family. */
export function flows(nl: NetlinkSocket, version: 4 | 6): Flow[] {
  return nl.dump("list tracked connections", CT.GET, header(version)).flatMap(message => {
    const attributes = parseAttributes(message.body.subarray(4));
    const original = find(attributes, CTA.TUPLE_ORIG);
    if (!original) return [];
    const tuple = parseAttributes(original);
    const ip = parseAttributes(find(tuple, CTA_TUPLE.IP) ?? new Uint8Array());
    const proto = parseAttributes(find(tuple, CTA_TUPLE.PROTO) ?? new Uint8Array());
    const destination = find(ip, version === 4 ? CTA_IP.V4_DST : CTA_IP.V6_DST);
    const port = find(proto, CTA_PROTO.DST_PORT);
    const protocol = find(proto, CTA_PROTO.NUM)?.[0];
    if (!destination || !port || protocol === undefined) return [];
    return {
      version,
      protocol,
      destination: formatIP({ family: version, bytes: destination }),
      destinationPort: (port[0]! << 8) | port[1]!,
      identity: attributes
        .filter(one => one.type === CTA.TUPLE_ORIG || one.type === CTA.ID || one.type === CTA.ZONE)
        .map(one => (one.type === CTA.TUPLE_ORIG ? attr.nested(one.type, nestedTuple(one.value)) : one)),
    };
  });
}

/** The parts of a tuple are nested attributes themselves, and must say so when they are sent. */
const nestedTuple = (bytes: Uint8Array) =>
  parseAttributes(bytes).map(one =>
    one.type === CTA_TUPLE.IP || one.type === CTA_TUPLE.PROTO
      ? attr.nested(one.type, parseAttributes(one.value))
      : one,
  );

/** Forgets a flow; its next packet begins a new one. Quiet when it has ended meanwhile. */
export function deleteFlow(nl: NetlinkSocket, flow: Flow): void {
  try {
    nl.request("forget a connection", CT.DELETE, NLM_F.ACK, body(header(flow.version), flow.identity));
  } catch (error) {
    if ((error as { code?: string }).code !== "ENOENT") throw error;
  }
}

/**
 * Forgets the UDP flows to one of the host's own addresses and a port in one of `ranges` (first and last port). `tracker`
 * is a socket of NETLINK_NETFILTER.
 */
export function forgetUdpToHost(
  tracker: NetlinkSocket,
  version: 4 | 6,
  ranges: readonly (readonly [number, number])[],
): void {
  const candidates = flows(tracker, version).filter(
    flow =>
      flow.protocol === UDP &&
      ranges.some(([first, last]) => flow.destinationPort >= first && flow.destinationPort <= last),
  );
  if (candidates.length === 0) return;
  using nl = new NetlinkSocket();
  const local = new Map<string, boolean>();
  for (const flow of candidates) {
    if (!local.has(flow.destination))
      local.set(flow.destination, routeTo(nl, flow.destination)?.type === RTN_LOCAL);
    if (local.get(flow.destination)) deleteFlow(tracker, flow);
  }
}
