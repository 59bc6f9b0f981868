/**
 * macvlan: an interface of the container's own on the wire of one of the host's, its parent: others there see one more
 * machine. The kernel lets host and container not talk to each other over it.
 */

import { dropLink } from "../../netlink/drop-link.ts";
import { type Link, linkByIndex, linkByName } from "../../netlink/link.ts";
import { addLink } from "../../netlink/new-link.ts";
import { routes } from "../../netlink/route.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { closeFd, O, openFd } from "../../sys/fd.ts";
import * as netns from "../../sys/netns.ts";
import { CNI_ERROR, CniError } from "../types.ts";
import { configureInside } from "./inside.ts";
import { emptyResult, type Plugin, type PluginContext } from "./plugin.ts";

interface MacvlanConf {
  /** The parent; the interface of the default route where none is named. */
  master?: string;
  mode?: string;
  mtu?: number;
  mac?: string;
}

const MODES = ["bridge", "private", "vepa", "passthru"] as const;
const invalid = (message: string) => new CniError(CNI_ERROR.INVALID_CONFIG, message);
const confOf = (context: PluginContext) => context.conf as unknown as MacvlanConf;

/** The interface of the default route, of IPv4 if there is one. */
const usualParent = (nl: NetlinkSocket) =>
  routes(nl)
    .filter(one => one.dst === "0.0.0.0/0" || one.dst === "::/0")
    .sort((a, b) => a.family - b.family || a.metric - b.metric)[0]?.index;

function parentOf(nl: NetlinkSocket, { master, mtu = 0 }: MacvlanConf): Link {
  const index = master ? undefined : usualParent(nl);
  const link = master ? linkByName(nl, master) : index ? linkByIndex(nl, index) : undefined;
  if (!link)
    throw invalid(
      master
        ? `the parent interface ${master} of the macvlan is not there`
        : "the macvlan has no parent interface",
    );
  if (mtu < 0 || mtu > link.mtu) throw invalid(`invalid MTU ${mtu}, must be [0, master MTU(${link.mtu})]`);
  return link;
}

export const macvlan: Plugin = {
  async add(context) {
    const conf = confOf(context);
    const mode = MODES.find(one => one === (conf.mode || "bridge"));
    if (!mode) throw invalid(`unknown macvlan mode: ${JSON.stringify(conf.mode)}`);
    using nl = new NetlinkSocket();
    const parent = parentOf(nl, conf);
    const given = context.conf.ipam?.type ? await context.ipam.add() : undefined;
    if (given?.ips.length === 0)
      throw new CniError(CNI_ERROR.INTERNAL, "IPAM plugin returned missing IP config");
    const target = openFd(context.netns, O.RDONLY);
    try {
      addLink(nl, {
        kind: "macvlan",
        name: context.ifName,
        parent: parent.index,
        macvlanMode: mode,
        mtu: conf.mtu,
        mac: (context.runtimeConfig.mac as string | undefined) ?? context.args.MAC ?? conf.mac,
        netns: target,
      });
    } finally {
      closeFd(target);
    }
    const result = { ...(given ?? emptyResult(context.cniVersion)), cniVersion: context.cniVersion };
    result.ips = result.ips.map(one => ({ ...one, interface: 0 }));
    const mac = configureInside(context, result);
    return { ...result, interfaces: [{ name: context.ifName, mac, sandbox: context.netns }] };
  },

  async del(context) {
    if (context.netns && netns.isNetns(context.netns)) {
      using nl = netns.run(context.netns, () => new NetlinkSocket());
      const link = linkByName(nl, context.ifName);
      if (link) dropLink(nl, link.index);
    }
    if (context.conf.ipam?.type) await context.ipam.del();
  },

  async check(context) {
    if (context.conf.ipam?.type) await context.ipam.check();
    const kind = netns.run(context.netns, () => {
      using nl = new NetlinkSocket();
      return linkByName(nl, context.ifName)?.kind;
    });
    if (kind !== "macvlan")
      throw new CniError(CNI_ERROR.INTERNAL, `the container has lost its macvlan ${context.ifName}`);
  },
};
