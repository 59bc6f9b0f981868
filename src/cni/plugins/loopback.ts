/** loopback: brings `lo` of the namespace up, whatever interface was asked for. */
import { addresses } from "../../netlink/address.ts";
import { linkByName, setLink } from "../../netlink/link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import * as netns from "../../sys/netns.ts";
import { CNI_ERROR, CniError, type Result } from "../types.ts";
import { emptyResult, type Plugin } from "./plugin.ts";

const isLoopback = (ip: string) => ip.startsWith("127.") || ip === "::1";

export const loopback: Plugin = {
  fields: [],
  add(context): Result {
    return netns.run(context.netns, () => {
      using nl = new NetlinkSocket();
      const lo = linkByName(nl, "lo")!;
      setLink(nl, lo.index, { up: true });
      const found = addresses(nl, { index: lo.index });
      const other = found.find(one => !isLoopback(one.ip));
      if (other)
        throw new CniError(
          CNI_ERROR.INTERNAL,
          `loopback interface found with non-loopback address ${JSON.stringify(other.ip)}`,
        );
      // Behind another plugin it has nothing to add: that one's interface is the container's.
      if (context.prevResult) return context.prevResult;
      const result = emptyResult(context.cniVersion);
      result.interfaces.push({ name: "lo", mac: lo.mac, sandbox: context.netns });
      for (const family of [4, 6] as const) {
        const first = found.find(one => one.family === family);
        if (first) result.ips.push({ interface: 0, address: `${first.ip}/${first.prefix}` });
      }
      return result;
    });
  },
  del(context) {
    if (!context.netns || !netns.isNetns(context.netns)) return;
    netns.run(context.netns, () => {
      using nl = new NetlinkSocket();
      setLink(nl, linkByName(nl, "lo")!.index, { up: false });
    });
  },
  check(context) {
    const up = netns.run(context.netns, () => {
      using nl = new NetlinkSocket();
      return linkByName(nl, "lo")!.up;
    });
    if (!up) throw new CniError(CNI_ERROR.INTERNAL, "loopback interface is down");
  },
};
