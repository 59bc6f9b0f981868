/** Neighbours: which hardware address an IP address has on a link (rtnetlink(7), `ndmsg`; `ip neigh`). */
import { UserError } from "../base/errors.ts";
import { formatIP, formatMac, type IpAddress, parseIP, parseMac } from "../wire/addr.ts";
import { type Attribute, attr, body, NLM_F, parseAttributes } from "../wire/netlink.ts";
import type { NetlinkSocket } from "./socket.ts";

const RTM = { NEWNEIGH: 28, DELNEIGH: 29, GETNEIGH: 30 } as const;
const NDA = { DST: 1, LLADDR: 2 } as const;
const AF = { 4: 2, 6: 10 } as const;

/** `NUD_*`: what the kernel thinks of an entry; one bit of each. */
export const NEIGHBOUR_STATE = {
  incomplete: 1,
  reachable: 2,
  stale: 4,
  delay: 8,
  probe: 16,
  failed: 32,
  noarp: 64,
  permanent: 128,
} as const;

export type NeighbourState = keyof typeof NEIGHBOUR_STATE;

export interface Neighbour {
  family: 4 | 6;
  /** Of the link. */
  index: number;
  ip: string;
  /** `""` while it is not known. */
  mac: string;
  state: NeighbourState | "none";
  unknown: Attribute[];
}

/** `ndmsg`: family, padding, link, state, flags, type. */
function header(family: number, index: number, state = 0): Uint8Array {
  const buffer = new Uint8Array(12);
  const view = new DataView(buffer.buffer);
  buffer[0] = family;
  view.setInt32(4, index, true);
  view.setUint16(8, state, true);
  return buffer;
}

/** All entries of both families, or of one link. */
export function neighbours(nl: NetlinkSocket, filter: { index?: number } = {}): Neighbour[] {
  const rows: Neighbour[] = [];
  for (const message of nl.dump("list neighbours", RTM.GETNEIGH, header(0, 0))) {
    const view = new DataView(message.body.buffer, message.body.byteOffset, message.body.byteLength);
    const number = view.getUint8(0);
    const index = view.getInt32(4, true);
    if ((number !== AF[4] && number !== AF[6]) || (filter.index !== undefined && index !== filter.index))
      continue;
    const family = number === AF[4] ? 4 : 6;
    const bits = view.getUint16(8, true);
    const names = Object.keys(NEIGHBOUR_STATE) as NeighbourState[];
    const row: Neighbour = {
      family,
      index,
      ip: "",
      mac: "",
      state: names.find(name => NEIGHBOUR_STATE[name] & bits) ?? "none",
      unknown: [],
    };
    for (const attribute of parseAttributes(message.body.subarray(12))) {
      if (attribute.type === NDA.DST) row.ip = formatIP({ family, bytes: attribute.value });
      else if (attribute.type === NDA.LLADDR) row.mac = formatMac(attribute.value);
      else row.unknown.push(attribute);
    }
    rows.push(row);
  }
  return rows;
}

function addressOf(text: string): IpAddress {
  const ip = parseIP(text);
  if (!ip) throw new UserError(`invalid address ${JSON.stringify(text)}`);
  return ip;
}

/** Sets an entry, permanent unless another state is given; what the link knew of the address is replaced. */
export function setNeighbour(
  nl: NetlinkSocket,
  spec: { index: number; ip: string; mac: string; state?: NeighbourState },
): void {
  const ip = addressOf(spec.ip);
  const mac = parseMac(spec.mac);
  if (!mac) throw new UserError(`invalid hardware address ${JSON.stringify(spec.mac)}`);
  nl.request(
    `set neighbour ${spec.ip}`,
    RTM.NEWNEIGH,
    NLM_F.CREATE | NLM_F.REPLACE,
    body(header(AF[ip.family], spec.index, NEIGHBOUR_STATE[spec.state ?? "permanent"]), [
      attr.bytes(NDA.DST, ip.bytes),
      attr.bytes(NDA.LLADDR, mac),
    ]),
  );
}

/** ENOENT when the link has no such entry. */
export function deleteNeighbour(nl: NetlinkSocket, index: number, text: string): void {
  const ip = addressOf(text);
  nl.request(
    `delete neighbour ${text}`,
    RTM.DELNEIGH,
    0,
    body(header(AF[ip.family], index), [attr.bytes(NDA.DST, ip.bytes)]),
  );
}
