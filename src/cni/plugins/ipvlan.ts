/**
 * ipvlan: an interface of the container's own on a parent whose hardware address it shares: for networks that know one
 * address a port. Alone it asks IPAM; behind another plugin it can take over what that one got.
 */
import type { Link } from "../../netlink/link.ts";
import { IFLA_IPVLAN, IPVLAN_MODES } from "../../netlink/new-link.ts";
import { value } from "../../wire/netlink.ts";
import { CNI_ERROR, CniError } from "../types.ts";
import { attach, detach } from "./attach.ts";
import { checkAttached } from "./check-inside.ts";
import { checkFields, type Field } from "./field.ts";
import {
  checkParent,
  LINK_IN_CONTAINER_FIELD,
  MTU_FIELD,
  makeOnParent,
  type ParentConf,
  statusOnParent,
} from "./parent.ts";
import type { Plugin, PluginContext } from "./plugin.ts";

interface IpvlanConf extends ParentConf {
  mode?: string;
}
type Mode = keyof typeof IPVLAN_MODES;

const invalid = (message: string) => new CniError(CNI_ERROR.INVALID_CONFIG, message);
const confOf = (context: { conf: object }) => context.conf as IpvlanConf;

function modeOf({ mode }: IpvlanConf): Mode {
  if (!mode) return "l2";
  if (Object.hasOwn(IPVLAN_MODES, mode)) return mode as Mode;
  throw invalid(`unknown ipvlan mode: ${JSON.stringify(mode)}`);
}

function modeOfLink(link: Link): string {
  const mode = link.info.find(one => one.type === IFLA_IPVLAN.MODE);
  const found = Object.entries(IPVLAN_MODES).find(([, number]) => mode && number === value.u16(mode.value));
  return found?.[0] ?? "unknown";
}

/** Behind another plugin the parent is the interface that that one made, unless one is named. */
function withParent({ conf, prevResult }: PluginContext): IpvlanConf {
  const own = confOf({ conf });
  if (own.master || !prevResult) return own;
  const [only, ...others] = prevResult.interfaces;
  if (!only?.name || others.length > 0)
    throw invalid("chained master failure. PrevResult lacks a single named interface");
  return { ...own, master: only.name };
}

const FIELDS: readonly Field[] = [
  {
    name: "master",
    type: "string",
    default: "the interface of the plugin before, or of the default route",
    text: "Name of the parent.",
  },
  {
    name: "mode",
    type: "string",
    default: "`l2`",
    text: "`l2` (a switch), `l3` (a router) or `l3s` (a router with netfilter).",
  },
  MTU_FIELD,
  LINK_IN_CONTAINER_FIELD,
  {
    name: "ipam",
    type: "object",
    text: "Where addresses come from; needed unless the plugin before gave addresses.",
  },
];

export const ipvlan: Plugin = {
  fields: FIELDS,

  add(context) {
    checkFields(FIELDS, context.conf);
    const mode = modeOf(confOf(context));
    const conf = withParent(context);
    const isAlone = Boolean(context.conf.ipam?.type);
    const addresses = isAlone ? undefined : context.prevResult;
    if (!isAlone && !addresses?.ips.length)
      throw invalid(
        "ipvlan has no addresses: neither an IPAM is configured nor did a plugin before give any",
      );
    return attach(context, {
      addresses,
      make() {
        makeOnParent(context, conf, "ipvlan", { ipvlanMode: mode });
        return [];
      },
    });
  },

  del: detach,

  async check(context) {
    const conf = confOf(context);
    await checkAttached(context, "ipvlan", link => {
      const [have, wanted] = [modeOfLink(link), modeOf(conf)];
      return have === wanted
        ? undefined
        : `Container IPVlan mode ${have} does not match expected value: ${wanted}`;
    });
    if (conf.master) checkParent(context, "ipvlan", conf);
  },

  status(context) {
    const conf = confOf(context);
    // Without a name it may stand behind another plugin, whose interface is its parent.
    statusOnParent("ipvlan", conf.master ? conf : { ...conf, linkInContainer: true });
  },
};
