/**
 * tap: an Ethernet device in the container that a program there opens as the wire's other end: for virtual machines, and
 * for network stacks of programs' own.
 */
import { errorText, hasCode } from "../../base/errors.ts";
import { linkByName, setLink } from "../../netlink/link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { closeFd, O, openFd } from "../../sys/fd.ts";
import * as netns from "../../sys/netns.ts";
import { makeTap } from "../../sys/tun.ts";
import { CNI_ERROR, CniError } from "../types.ts";
import { attach, checkMtu, detach, dropInside } from "./attach.ts";
import { checkAttached } from "./check-inside.ts";
import { checkFields, type Field } from "./field.ts";
import { macOf } from "./mac.ts";
import type { Plugin, PluginContext } from "./plugin.ts";

interface TapConf {
  multiQueue?: boolean;
  mtu?: number;
  owner?: number;
  group?: number;
  selinuxContext?: string;
  bridge?: string;
}

const DEVICE = "/dev/net/tun";
const failed = (message: string, details = "") => new CniError(CNI_ERROR.INTERNAL, message, details);

function confOf(context: { conf: object }): TapConf {
  const conf = context.conf as TapConf;
  // The kernel labels a tap as the program that makes it is labelled, and programs can't choose that for themselves.
  if (conf.selinuxContext)
    throw new CniError(
      CNI_ERROR.UNSUPPORTED_FIELD,
      "selinuxContext is not supported: the tap has the label of the program that calls the plugin",
    );
  return conf;
}

function make(context: PluginContext, conf: TapConf, mac: string | undefined): void {
  const { ifName } = context;
  netns.run(context.netns, () => {
    using nl = new NetlinkSocket();
    // An existing tap would be opened in place of a new one.
    if (linkByName(nl, ifName)) throw failed(`failed to create tap: ${ifName} already exists`);
    try {
      makeTap(ifName, conf);
    } catch (error) {
      if (!hasCode(error, "ENOENT", "ENODEV", "ENXIO")) throw error;
      throw failed(`failed to create tap: ${errorText(error)}`, "this kernel has no module tun");
    }
    try {
      const bridge = conf.bridge ? linkByName(nl, conf.bridge) : undefined;
      if (conf.bridge && bridge?.kind !== "bridge")
        throw failed(`failed to get bridge ${conf.bridge}: the container has no bridge of that name`);
      const change = { mac, mtu: conf.mtu || undefined, master: bridge?.index };
      setLink(nl, linkByName(nl, ifName)!.index, change);
    } catch (error) {
      dropInside(context);
      throw error;
    }
  });
}

const FIELDS: readonly Field[] = [
  {
    name: "multiQueue",
    type: "boolean",
    default: "false",
    text: "The device can be opened several times, one queue each.",
  },
  { name: "mtu", type: "integer", default: "1500", text: "Largest packet in bytes." },
  {
    name: "mac",
    type: "string",
    default: "random",
    text: "Hardware address. `MAC` of CNI_ARGS goes before it, and the capability `mac` before both.",
  },
  { name: "owner", type: "natural", default: "root alone", text: "User id that may open the device." },
  { name: "group", type: "natural", default: "root alone", text: "Group id that may open the device." },
  {
    name: "selinuxContext",
    type: "string",
    text: "Refused: the device has the label of the program that calls the plugin.",
  },
  {
    name: "bridge",
    type: "string",
    text: "Bridge in the container whose port the device becomes.",
  },
  {
    name: "ipam",
    type: "object",
    text: "Where addresses come from; without a `type` the interface has none.",
  },
];

export const tap: Plugin = {
  fields: FIELDS,

  add(context) {
    checkFields(FIELDS, context.conf);
    const conf = confOf(context);
    checkMtu(conf.mtu);
    const mac = macOf(context);
    return attach(context, {
      make() {
        make(context, conf, mac);
        return [];
      },
    });
  },

  del: detach,

  async check(context) {
    confOf(context);
    await checkAttached(context, "tun");
  },

  status(context) {
    confOf(context);
    try {
      closeFd(openFd(DEVICE, O.RDWR));
    } catch (error) {
      throw new CniError(CNI_ERROR.NOT_AVAILABLE, "no tap can be made", errorText(error));
    }
  },
};
