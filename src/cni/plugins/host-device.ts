/**
 * host-device: an interface of the host, moved into the container for as long as that lives. Its own name is kept in its
 * alias (ip-link(8)), where Go's plugin keeps it too.
 */
import { ErrorList, errorText } from "../../base/errors.ts";
import { type Link, linkByIndex, linkByName, links, setLink } from "../../netlink/link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { closeFd, O, openFd } from "../../sys/fd.ts";
import * as netns from "../../sys/netns.ts";
import { CNI_ERROR, CniError, type Result } from "../types.ts";
import { attach, confDns, giveBack, hasNetns } from "./attach.ts";
import { checkAttached } from "./check-inside.ts";
import { type DeviceConf, findDevice, isForUserSpace, isMeant } from "./device.ts";
import { checkFields, type Field } from "./field.ts";
import { emptyResult, type Plugin, type PluginContext } from "./plugin.ts";

const failed = (message: string, details = "") => new CniError(CNI_ERROR.INTERNAL, message, details);

/** With the device that the runtime chose, where it chose one. */
function confOf({
  conf,
  runtimeConfig,
}: {
  conf: object;
  runtimeConfig: PluginContext["runtimeConfig"];
}): DeviceConf {
  const { deviceID } = runtimeConfig;
  return typeof deviceID === "string" && deviceID ? { ...conf, pciBusID: deviceID } : conf;
}

const isNamed = ({ device, hwaddr, kernelpath, pciBusID }: DeviceConf) =>
  Boolean(device || hwaddr || kernelpath || pciBusID);

function requireDevice(context: PluginContext): DeviceConf {
  const conf = confOf(context);
  if (isNamed(conf)) return conf;
  const message = 'specify either "device", "hwaddr", "kernelpath" or "pciBusID"';
  throw new CniError(CNI_ERROR.INVALID_CONFIG, message);
}

/** Runs `step` with an open descriptor of the namespace that the calling thread is in. */
function withHome<T>(step: (home: number) => T): T {
  const home = netns.openCurrent();
  try {
    return step(home);
  } finally {
    closeFd(home);
  }
}

/** Moves a link of the socket's namespace into another, under a name of its own there. A move takes it down. */
function move(nl: NetlinkSocket, link: Link, target: number, name: string): void {
  netns.run(target, () => {
    using there = new NetlinkSocket();
    if (linkByName(there, name)) throw failed(`${JSON.stringify(name)} already exists`);
  });
  setLink(nl, link.index, { netns: target, name });
}

function moveIn(context: PluginContext, device: Link): void {
  using nl = new NetlinkSocket();
  const target = openFd(context.netns, O.RDONLY);
  try {
    // Whatever comes between, the device can be told by this.
    setLink(nl, device.index, { up: false, alias: device.name });
    move(nl, device, target, context.ifName);
  } catch (error) {
    restore(nl, device);
    throw failed(`failed to move link ${device.name}`, errorText(error));
  } finally {
    closeFd(target);
  }
}

/** A device that did not get away from the host is as it was. */
function restore(nl: NetlinkSocket, device: Link): void {
  if (linkByIndex(nl, device.index)?.name === device.name)
    setLink(nl, device.index, { up: device.up, alias: device.alias });
}

/**
 * Moves the container's interface back to the host, under its own name, down unless it was otherwise `before`. Quiet where
 * it is not there, or is no interface of this plugin's, which has an alias.
 */
function moveOut(context: PluginContext, before?: Link): void {
  using inside = netns.run(context.netns, () => new NetlinkSocket());
  const link = linkByName(inside, context.ifName);
  if (!link?.alias) return;
  try {
    setLink(inside, link.index, { up: false });
    withHome(home => move(inside, link, home, link.alias));
  } catch (error) {
    throw failed(`failed to move ${JSON.stringify(context.ifName)} to host netns`, errorText(error));
  }
  using nl = new NetlinkSocket();
  const back = linkByName(nl, link.alias);
  if (back) setLink(nl, back.index, { alias: before?.alias ?? "", up: before?.up ? true : undefined });
}

/**
 * A physical device comes back to the host by itself when its namespace ends, under the container's name for it or, where
 * that is taken, as `devN`. Gives it its own again.
 */
function reclaim(context: PluginContext, conf: DeviceConf): void {
  using nl = new NetlinkSocket();
  const mac = context.prevResult?.interfaces.find(one => one.name === context.ifName && one.sandbox)?.mac;
  for (const link of links(nl)) {
    const isBack = link.name === context.ifName || /^dev\d+$/.test(link.name);
    if (!isBack || !link.alias || !isMeant(conf, link, mac) || linkByName(nl, link.alias)) continue;
    setLink(nl, link.index, { up: false });
    setLink(nl, link.index, { name: link.alias, alias: "" });
  }
}

/** Devices of DPDK have no interface: there is nothing to move, and only the address to ask for. */
async function addressesAlone(context: PluginContext): Promise<Result> {
  const result = emptyResult(context.cniVersion);
  if (!context.conf.ipam?.type) return result;
  const { ips, routes, dns } = await context.ipam.add();
  return { ...result, ips, routes, dns: confDns(context) ?? dns };
}

const FIELDS: readonly Field[] = [
  { name: "device", type: "string", text: "Name of the interface, as in `eth1`." },
  { name: "hwaddr", type: "string", text: "Its hardware address." },
  {
    name: "kernelpath",
    type: "string",
    text: "Path of the device below `/sys/devices/`, as in `/sys/devices/pci0000:00/0000:00:1f.6`.",
  },
  {
    name: "pciBusID",
    type: "string",
    text: "PCI address, as in `0000:00:1f.6`. The capability `deviceID` goes before it, and may name an auxiliary device.",
  },
  {
    name: "ipam",
    type: "object",
    text: "Where addresses come from; without a `type` the interface has none.",
  },
];

export const hostDevice: Plugin = {
  fields: FIELDS,

  async add(context) {
    checkFields(FIELDS, context.conf);
    const conf = requireDevice(context);
    if (isForUserSpace(conf)) return addressesAlone(context);
    using nl = new NetlinkSocket();
    const device = findDevice(nl, conf);
    return attach(context, {
      make() {
        moveIn(context, device);
        return [];
      },
      unmake() {
        moveOut(context, device);
      },
    });
  },

  async del(context) {
    const conf = confOf(context);
    const errors = new ErrorList();
    errors.try(() => {
      if (isForUserSpace(conf)) return;
      if (hasNetns(context)) moveOut(context);
      else reclaim(context, conf);
    });
    // What could not be moved is down, and has no more use for its address.
    await errors.tryAsync(() => giveBack(context));
    errors.throwIfAny("can't give the device back");
  },

  async check(context) {
    if (!isForUserSpace(requireDevice(context))) return checkAttached(context, "");
    if (context.conf.ipam?.type) await context.ipam.check();
  },

  status(context) {
    const conf: object & DeviceConf = context.conf;
    // Which device it is may be told by the runtime with each container.
    if (!isNamed(conf) || isForUserSpace(conf)) return;
    using nl = new NetlinkSocket();
    try {
      findDevice(nl, conf);
    } catch (error) {
      throw new CniError(CNI_ERROR.NOT_AVAILABLE, errorText(error));
    }
  },
};
