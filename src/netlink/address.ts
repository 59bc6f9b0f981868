/** Addresses of links (rtnetlink(7), `ifaddrmsg`). */
import { UserError } from "../base/errors.ts";
import { formatIP, ipToBigInt, lastOf, parseCidr } from "../wire/addr.ts";
import { type Attribute, attr, body, NLM_F, parseAttributes, value } from "../wire/netlink.ts";
import type { NetlinkSocket } from "./socket.ts";

const RTM = { NEWADDR: 20, DELADDR: 21, GETADDR: 22 } as const;
const IFA = { ADDRESS: 1, LOCAL: 2, LABEL: 3, BROADCAST: 4, FLAGS: 8 } as const;
export const IFA_F = { NODAD: 2, DADFAILED: 8, TENTATIVE: 0x40, PERMANENT: 0x80 } as const;
const SCOPES: Record<number, string> = { 0: "global", 200: "site", 253: "link", 254: "host" };

export interface Address {
  index: number;
  family: 4 | 6;
  /** Without its prefix. */
  ip: string;
  prefix: number;
  scope: string;
  broadcast: string;
  label: string;
  flags: number;
  unknown: Attribute[];
}

const AF = { 4: 2, 6: 10 } as const;

function header(family: number, prefix: number, index: number): Uint8Array {
  const buffer = new Uint8Array(8);
  buffer[0] = family;
  buffer[1] = prefix;
  new DataView(buffer.buffer).setUint32(4, index, true);
  return buffer;
}

export function addresses(nl: NetlinkSocket, filter: { index?: number; family?: 4 | 6 } = {}): Address[] {
  const rows: Address[] = [];
  for (const message of nl.dump(
    "list addresses",
    RTM.GETADDR,
    // The kernel leaves out those of other links (NETLINK_GET_STRICT_CHK), of which a host may have thousands.
    header(filter.family ? AF[filter.family] : 0, 0, filter.index ?? 0),
  )) {
    const view = new DataView(message.body.buffer, message.body.byteOffset, message.body.byteLength);
    const family = view.getUint8(0) === AF[4] ? 4 : 6;
    const row: Address = {
      index: view.getUint32(4, true),
      family,
      ip: "",
      prefix: view.getUint8(1),
      scope: SCOPES[view.getUint8(3)] ?? String(view.getUint8(3)),
      broadcast: "",
      label: "",
      flags: view.getUint8(2),
      unknown: [],
    };
    if (filter.index !== undefined && row.index !== filter.index) continue;
    let peer = "";
    for (const attribute of parseAttributes(message.body.subarray(8))) {
      const bytes = attribute.value;
      if (attribute.type === IFA.LOCAL) row.ip = formatIP({ family, bytes });
      else if (attribute.type === IFA.ADDRESS) peer = formatIP({ family, bytes });
      else if (attribute.type === IFA.BROADCAST) row.broadcast = formatIP({ family, bytes });
      else if (attribute.type === IFA.LABEL) row.label = value.string(bytes);
      else if (attribute.type === IFA.FLAGS) row.flags = value.u32(bytes);
      else row.unknown.push(attribute);
    }
    row.ip ||= peer;
    rows.push(row);
  }
  return rows;
}

function cidrOf(text: string) {
  const cidr = parseCidr(text);
  if (!cidr)
    throw new UserError(`invalid address ${JSON.stringify(text)}`, {
      hint: "an address and a prefix, as in 10.88.0.1/16",
    });
  return cidr;
}

export interface NewAddress {
  index: number;
  /** `10.88.0.1/16`. */
  address: string;
  flags?: number;
}

/** Adds an address; IPv4 gets the broadcast address of its network. EEXIST when it is there. */
export function addAddress(nl: NetlinkSocket, spec: NewAddress): void {
  const cidr = cidrOf(spec.address);
  const attributes = [attr.bytes(IFA.LOCAL, cidr.ip.bytes), attr.bytes(IFA.ADDRESS, cidr.ip.bytes)];
  if (cidr.ip.family === 4 && cidr.prefix < 31 && ipToBigInt(cidr.ip) >> 24n !== 127n)
    attributes.push(attr.bytes(IFA.BROADCAST, lastOf(cidr).bytes));
  if (spec.flags) attributes.push(attr.u32(IFA.FLAGS, spec.flags));
  nl.request(
    `add address ${spec.address}`,
    RTM.NEWADDR,
    NLM_F.CREATE | NLM_F.EXCL,
    body(header(AF[cidr.ip.family], cidr.prefix, spec.index), attributes),
  );
}

export function deleteAddress(nl: NetlinkSocket, index: number, address: string): void {
  const cidr = cidrOf(address);
  nl.request(
    `delete address ${address}`,
    RTM.DELADDR,
    0,
    body(header(AF[cidr.ip.family], cidr.prefix, index), [attr.bytes(IFA.LOCAL, cidr.ip.bytes)]),
  );
}
