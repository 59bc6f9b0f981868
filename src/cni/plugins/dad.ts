/** Duplicate address detection (RFC 4862, 5.4): IPv6 addresses that nobody may use before it is over. */
import { addresses, IFA_F } from "../../netlink/address.ts";
import { linkByName } from "../../netlink/link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import * as netns from "../../sys/netns.ts";
import { CNI_ERROR, CniError } from "../types.ts";

const INTERVAL = 50;
/** Seconds. */
const LIMIT = 5;

/** Waits until every address of an interface can be used. Throws where somebody else has one, or it takes too long. */
export async function awaitDad(namespace: string, ifName: string): Promise<void> {
  using nl = netns.run(namespace, () => new NetlinkSocket());
  const index = linkByName(nl, ifName)!.index;
  for (let waited = 0; ; waited += INTERVAL) {
    const six = addresses(nl, { index, family: 6 });
    const taken = six.find(one => one.flags & IFA_F.DADFAILED);
    if (taken)
      throw new CniError(
        CNI_ERROR.INTERNAL,
        `somebody else on the network has the address ${taken.ip} already`,
      );
    if (!six.some(one => one.flags & IFA_F.TENTATIVE)) return;
    if (waited >= LIMIT * 1000)
      throw new CniError(
        CNI_ERROR.INTERNAL,
        `link ${ifName} still has tentative addresses after ${LIMIT} seconds`,
      );
    await Bun.sleep(INTERVAL);
  }
}
