/** The containers' gateway: its addresses on a link of the host. */
import { hasCode } from "../../base/errors.ts";
import { addAddress, addresses, deleteAddress, IFA_F } from "../../netlink/address.ts";
import { type Link, linkByIndex, setLink } from "../../netlink/link.ts";
import type { NetlinkSocket } from "../../netlink/socket.ts";
import {
  bigIntToIp,
  type Cidr,
  contains,
  formatCidr,
  formatIP,
  ipToBigInt,
  networkOf,
  parseCidr,
  parseIP,
} from "../../wire/addr.ts";
import { CNI_ERROR, CniError, type Result } from "../types.ts";

/** The first address of a network, which is the gateway's where nobody says another: of `10.88.0.5/16`, `10.88.0.1`. */
export function firstOf(address: string): string {
  const cidr = parseCidr(address)!;
  return formatIP(bigIntToIp(ipToBigInt(networkOf(cidr)) + 1n, cidr.ip.family));
}

/** `10.88.0.1/16` as its network. */
const networkText = (cidr: Cidr) => formatCidr({ ip: networkOf(cidr), prefix: cidr.prefix });

/**
 * Refuses a gateway's address (`10.88.0.1/16`) for `name` where another link of the same routing table (VRF; `master`) has
 * that very network: the kernel would send everything to the one that was first, and containers of the other could
 * neither be reached nor answered. `index` is the own link's, 0 before it is made.
 */
export function refuseRival(
  nl: NetlinkSocket,
  { name, index, master }: Pick<Link, "name" | "index" | "master">,
  wanted: string,
): void {
  const cidr = parseCidr(wanted)!;
  const network = networkText(cidr);
  for (const other of addresses(nl, { family: cidr.ip.family })) {
    if (other.index === index || other.prefix !== cidr.prefix || other.scope !== "global") continue;
    if (networkText({ ip: parseIP(other.ip)!, prefix: other.prefix }) !== network) continue;
    const rival = linkByIndex(nl, other.index);
    if (rival?.kind !== "bridge" || rival.master !== master) continue;
    throw new CniError(
      CNI_ERROR.INTERNAL,
      `bridge ${JSON.stringify(name)} can't have ${network}: bridge ${JSON.stringify(rival.name)} has that subnet already`,
      `give one of them another subnet, or remove the other once nobody is on it (ip link del ${rival.name})`,
    );
  }
}

/**
 * Gives a link the gateway's addresses. An address that is another's is an error, or is taken (`forceAddress`); a network
 * that another bridge has is one where the link is to be `alone` on it.
 */
export function holdGateway(
  nl: NetlinkSocket,
  { forceAddress, what = "bridge addr", alone }: { forceAddress?: boolean; what?: string; alone?: boolean },
  link: Link,
  result: Result,
): void {
  const have = addresses(nl, { index: link.index });
  const gateways = result.ips.map(one => `${one.gateway}/${one.address.split("/")[1]}`);
  for (const [index, one] of result.ips.entries()) {
    if (!one.gateway) continue;
    const cidr = parseCidr(one.address)!;
    const wanted = gateways[index]!;
    if (have.some(other => `${other.ip}/${other.prefix}` === wanted)) continue;
    if (alone) refuseRival(nl, link, wanted);
    const rival = have.find(
      other =>
        other.family === cidr.ip.family &&
        other.scope === "global" &&
        !gateways.includes(`${other.ip}/${other.prefix}`) &&
        (cidr.ip.family === 4 || contains(cidr, parseIP(other.ip)!)),
    );
    if (rival) {
      if (!forceAddress)
        throw new CniError(
          CNI_ERROR.INTERNAL,
          `failed to set ${what}: "${link.name}" already has an IP address different from ${wanted}`,
        );
      deleteAddress(nl, link.index, `${rival.ip}/${rival.prefix}`);
    }
    try {
      addAddress(nl, { index: link.index, address: wanted, flags: cidr.ip.family === 6 ? IFA_F.NODAD : 0 });
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
    }
  }
  // Fixed, lest a bridge take the lowest address of its ports and change it as containers come and go.
  // One that had lost its last port had none when it was looked at.
  const mac = /^[0:]*$/.test(link.mac) ? linkByIndex(nl, link.index)!.mac : link.mac;
  if (mac) setLink(nl, link.index, { mac });
}
