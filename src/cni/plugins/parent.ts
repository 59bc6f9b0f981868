/** Interfaces on another one, their parent ("master"): macvlan, ipvlan, vlan. The parent is the host's or the container's. */
import { errorText, hasCode } from "../../base/errors.ts";
import { deleteLink, type Link, linkByIndex, linkByName, setLink } from "../../netlink/link.ts";
import { addLink, type LinkSpec } from "../../netlink/new-link.ts";
import { routes } from "../../netlink/route.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { closeFd, O, openFd } from "../../sys/fd.ts";
import * as netns from "../../sys/netns.ts";
import { CNI_ERROR, CniError } from "../types.ts";
import { making, statusOf } from "./attach.ts";
import type { Field } from "./field.ts";
import type { PluginContext } from "./plugin.ts";
import { randomName } from "./veth.ts";

export interface ParentConf {
  /** The parent; the interface of the default route where none is named. */
  master?: string;
  mtu?: number;
  /** The parent is one of the container's. */
  linkInContainer?: boolean;
}

export const MTU_FIELD: Field = {
  name: "mtu",
  type: "integer",
  default: "the parent's",
  text: "Largest packet in bytes; no more than the parent's.",
};
export const LINK_IN_CONTAINER_FIELD: Field = {
  name: "linkInContainer",
  type: "boolean",
  default: "false",
  text: "The parent is an interface of the container, not of the host.",
};

const invalid = (message: string) => new CniError(CNI_ERROR.INVALID_CONFIG, message);

/** The interface of the default route, of IPv4 if there is one. */
const usualParent = (nl: NetlinkSocket) =>
  routes(nl)
    .filter(one => one.index && (one.dst === "0.0.0.0/0" || one.dst === "::/0"))
    .sort((a, b) => a.family - b.family || a.metric - b.metric)[0]?.index;

function findParent(nl: NetlinkSocket, { master }: ParentConf): Link | undefined {
  if (master) return linkByName(nl, master);
  const index = usualParent(nl);
  return index ? linkByIndex(nl, index) : undefined;
}

function noParent(code: number, kind: string, { master, linkInContainer }: ParentConf): CniError {
  const where = linkInContainer ? " in the container" : "";
  return master
    ? new CniError(code, `the parent interface ${master} of the ${kind} is not there${where}`)
    : new CniError(code, `no default route interface found${where}`, `the ${kind} names no master`);
}

/** A socket in the namespace where the parent is. */
const besideParent = (netnsPath: string, conf: ParentConf): NetlinkSocket =>
  conf.linkInContainer ? netns.run(netnsPath, () => new NetlinkSocket()) : new NetlinkSocket();

/** Makes the container's interface on its parent. Nothing is there of it after a failure. */
export function makeOnParent(
  context: PluginContext,
  conf: ParentConf,
  kind: LinkSpec["kind"],
  details: Partial<LinkSpec>,
): void {
  using nl = besideParent(context.netns, conf);
  const parent = findParent(nl, conf);
  if (!parent) throw noParent(CNI_ERROR.INVALID_CONFIG, kind, conf);
  const { mtu = 0 } = conf;
  if (mtu < 0 || mtu > parent.mtu)
    throw invalid(`invalid MTU ${mtu}, must be [0, master MTU(${parent.mtu})]`);
  // The kernel refuses a name that its maker's namespace has, though the link is made in another.
  const name = randomName();
  const target = conf.linkInContainer ? undefined : openFd(context.netns, O.RDONLY);
  try {
    making(nl, kind, () => addLink(nl, { ...details, kind, name, parent: parent.index, mtu, netns: target }));
  } finally {
    if (target !== undefined) closeFd(target);
  }
  nameInside(context, kind, name);
}

/** Gives a link that was made in the container's namespace its name; deletes it where that can't be. */
export function nameInside(context: PluginContext, kind: string, made: string): void {
  netns.run(context.netns, () => {
    using nl = new NetlinkSocket();
    const { index } = linkByName(nl, made)!;
    try {
      setLink(nl, index, { name: context.ifName });
    } catch (error) {
      deleteLink(nl, index);
      const why = hasCode(error, "EEXIST") ? "file exists" : errorText(error);
      throw new CniError(
        CNI_ERROR.INTERNAL,
        `failed to rename ${kind} to ${JSON.stringify(context.ifName)}: ${why}`,
      );
    }
  });
}

/** For CHECK: throws where the parent has gone. */
export function checkParent(context: PluginContext, kind: string, conf: ParentConf): void {
  using nl = besideParent(context.netns, conf);
  if (!findParent(nl, conf)) throw noParent(CNI_ERROR.INTERNAL, kind, conf);
}

/** STATUS: a parent in the container can't be known before there is one. */
export function statusOnParent(kind: string, conf: ParentConf): void {
  statusOf(kind);
  if (conf.linkInContainer) return;
  using nl = new NetlinkSocket();
  if (!findParent(nl, conf)) throw noParent(CNI_ERROR.NOT_AVAILABLE, kind, conf);
}
