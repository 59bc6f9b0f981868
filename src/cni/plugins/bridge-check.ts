/** bridge's CHECK: bridge, pair, addresses and routes are as ADD told them. */
import { type Link, linkByIndex, linkByName } from "../../netlink/link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import * as netns from "../../sys/netns.ts";
import { CNI_ERROR, CniError, type Result, type ResultInterface } from "../types.ts";
import { readConf } from "./bridge-conf.ts";
import { checkAddresses } from "./check-inside.ts";
import type { PluginContext } from "./plugin.ts";

const wrong = (message: string) => new CniError(CNI_ERROR.INTERNAL, message);

function sameMac(what: string, link: Link, told: ResultInterface): void {
  if (told.mac && told.mac.toLowerCase() !== link.mac)
    throw wrong(`${what} ${told.name} Mac ${told.mac} doesn't match: it is ${link.mac}`);
}

/** The bridge as it is, which must be the one that was told. */
function checkBridge(nl: NetlinkSocket, context: PluginContext, result: Result): Link {
  const { bridge: name, promiscMode } = readConf(context.conf);
  const link = linkByName(nl, name);
  if (!link) throw wrong(`Interface name ${name} not found`);
  if (link.kind !== "bridge") throw wrong(`Interface ${name} does not have link type of bridge`);
  const told = result.interfaces.find(one => one.name === name && !one.sandbox);
  if (!told) throw wrong(`CNI created bridge ${name} in host namespace was not found`);
  sameMac("Bridge interface", link, told);
  if (promiscMode && !link.promisc)
    throw wrong(`Bridge interface ${name} configured Promisc Mode true doesn't match current state: false`);
  return link;
}

/** The container's interface, with addresses and routes. Gives the index of its other end. */
function checkInside(context: PluginContext, result: Result): number {
  const { ifName, conf } = context;
  const told = result.interfaces.find(one => one.name === ifName && one.sandbox);
  if (told?.sandbox !== context.netns)
    throw wrong(
      `Sandbox in prevResult ${told?.sandbox ?? ""} doesn't match configured netns: ${context.netns}`,
    );
  return netns.run(context.netns, () => {
    using nl = new NetlinkSocket();
    const link = linkByName(nl, ifName);
    if (!link) throw wrong(`CNI created interface in container ${ifName} not found`);
    if (link.kind !== "veth") throw wrong(`Error: Container interface ${ifName} not of type veth`);
    sameMac("Interface", link, told);
    if (!link.up && !conf.disableContainerInterface) throw wrong(`Interface ${ifName} is down`);
    checkAddresses(nl, link, result);
    return link.peerIndex;
  });
}

/** Throws the first thing that is not as ADD left it. */
export function checkAttached(context: PluginContext): void {
  const result = context.prevResult;
  if (!result) throw wrong("Required prevResult missing");
  using nl = new NetlinkSocket();
  const master = checkBridge(nl, context, result);
  const port = linkByIndex(nl, checkInside(context, result));
  const told = result.interfaces.find(one => one.name === port?.name && !one.sandbox);
  if (port?.kind !== "veth" || !told || port.master !== master.index)
    throw wrong(`CNI veth created for bridge ${master.name} was not found`);
  sameMac("Interface", port, told);
}
