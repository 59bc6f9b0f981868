/** A veth pair: one end is the container's interface, the other one is the host's. */
import { hasCode } from "../../base/errors.ts";
import { dropLink } from "../../netlink/drop-link.ts";
import { linkByIndex, linkByName } from "../../netlink/link.ts";
import { addLink } from "../../netlink/new-link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { closeFd } from "../../sys/fd.ts";
import * as netns from "../../sys/netns.ts";
import { CNI_ERROR, CniError, type Result } from "../types.ts";
import type { PluginContext } from "./plugin.ts";

/** A name for a link that is given its own later, or that nobody has to know. */
export const randomName = () => `veth${crypto.randomUUID().slice(0, 8)}`;

/** Makes a pair from inside the container's namespace, its peer straight in the host's. Gives the peer's name. */
export function makePair(context: PluginContext, options: { mtu?: number; mac?: string } = {}): string {
  const { mtu, mac } = options;
  const home = netns.openCurrent();
  try {
    for (let attempt = 0; ; attempt++) {
      const hostName = randomName();
      try {
        netns.run(context.netns, () => {
          using nl = new NetlinkSocket();
          const peer = { name: hostName, netns: home, mtu };
          addLink(nl, { kind: "veth", name: context.ifName, mac, mtu, peer });
        });
        return hostName;
      } catch (error) {
        if (!hasCode(error, "EEXIST") || attempt >= 10) throw error;
        const taken = netns.run(context.netns, () => {
          using nl = new NetlinkSocket();
          return linkByName(nl, context.ifName) !== undefined;
        });
        if (taken)
          throw new CniError(
            CNI_ERROR.INTERNAL,
            `container veth name provided (${context.ifName}) already exists`,
          );
      }
    }
  } finally {
    closeFd(home);
  }
}

/** Some callers have no path to a namespace that still lives (containerd's DEL): the pair goes from its other end. */
export function dropHostEnd(result: Result | undefined): void {
  using nl = new NetlinkSocket();
  for (const { name, mac, sandbox } of result?.interfaces ?? []) {
    const link = sandbox ? undefined : linkByName(nl, name);
    if (link?.kind === "veth" && link.mac === mac) dropLink(nl, link.index);
  }
}

/** Milliseconds between two looks, and how many of them. */
const INTERVAL = 0.5;
const MAX_LOOKS = 2000;

/**
 * Waits until the kernel carries packets over the host's end. It was up before its other end, and what is sent before a
 * worker of the kernel (linkwatch) has seen the carrier is lost without a word.
 */
export function awaitCarrier(nl: NetlinkSocket, index: number): void {
  for (let looks = 0; linkByIndex(nl, index)?.operState !== "up"; looks++) {
    if (looks === MAX_LOOKS)
      throw new CniError(CNI_ERROR.INTERNAL, "the link between container and host has not come up");
    Bun.sleepSync(INTERVAL);
  }
}
