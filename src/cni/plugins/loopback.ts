/** loopback: brings `lo` of the namespace up. */
import { addresses } from "../../netlink/address.ts";
import { linkByName, setLink } from "../../netlink/link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import * as netns from "../../sys/netns.ts";
import { CNI_ERROR, CniError } from "../types.ts";
import { emptyResult, type Plugin } from "./plugin.ts";

export const loopback: Plugin = {
  add(context) {
    return netns.run(context.netns, () => {
      using nl = new NetlinkSocket();
      const lo = linkByName(nl, "lo")!;
      setLink(nl, lo.index, { up: true });
      const result = context.prevResult ?? emptyResult(context.cniVersion);
      const index = result.interfaces.push({ name: "lo", mac: lo.mac, sandbox: context.netns }) - 1;
      for (const one of addresses(nl, { index: lo.index }))
        result.ips.push({ interface: index, address: `${one.ip}/${one.prefix}` });
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
