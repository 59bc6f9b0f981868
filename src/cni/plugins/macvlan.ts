/**
 * macvlan: an interface of the container's own on the wire of one of the host's, its parent: others there see one more
 * machine. The kernel lets host and container not talk to each other over it.
 */
import type { Link } from "../../netlink/link.ts";
import { IFLA_MACVLAN, MACVLAN_MODES } from "../../netlink/new-link.ts";
import { value } from "../../wire/netlink.ts";
import { CNI_ERROR, CniError } from "../types.ts";
import { attach, detach } from "./attach.ts";
import { checkAttached } from "./check-inside.ts";
import { checkFields, type Field } from "./field.ts";
import { macOf } from "./mac.ts";
import {
  checkParent,
  LINK_IN_CONTAINER_FIELD,
  MTU_FIELD,
  makeOnParent,
  type ParentConf,
  statusOnParent,
} from "./parent.ts";
import type { Plugin } from "./plugin.ts";

interface MacvlanConf extends ParentConf {
  mode?: string;
  bcqueuelen?: number;
}
type Mode = keyof typeof MACVLAN_MODES;

const confOf = (context: { conf: object }) => context.conf as MacvlanConf;

function modeOf({ mode }: MacvlanConf): Mode {
  if (!mode) return "bridge";
  if (Object.hasOwn(MACVLAN_MODES, mode)) return mode as Mode;
  throw new CniError(CNI_ERROR.INVALID_CONFIG, `unknown macvlan mode: ${JSON.stringify(mode)}`);
}

function modeOfLink(link: Link): string {
  const mode = link.info.find(one => one.type === IFLA_MACVLAN.MODE);
  const found = Object.entries(MACVLAN_MODES).find(([, bits]) => mode && bits === value.u32(mode.value));
  return found?.[0] ?? "unknown";
}

const FIELDS: readonly Field[] = [
  {
    name: "master",
    type: "string",
    default: "the interface of the default route",
    text: "Name of the parent.",
  },
  {
    name: "mode",
    type: "string",
    default: "`bridge`",
    text: "`bridge`, `private`, `vepa` or `passthru`: how interfaces on one parent reach each other.",
  },
  MTU_FIELD,
  {
    name: "mac",
    type: "string",
    default: "random",
    text: "Hardware address. `MAC` of CNI_ARGS goes before it, and the capability `mac` before both.",
  },
  LINK_IN_CONTAINER_FIELD,
  {
    name: "bcqueuelen",
    type: "natural",
    default: "the kernel's, 1000",
    text: "Broadcasts that may wait; the parent has the longest that its interfaces ask for.",
  },
  {
    name: "ipam",
    type: "object",
    text: "Where addresses come from; without a `type` the interface has none.",
  },
];

export const macvlan: Plugin = {
  fields: FIELDS,

  add(context) {
    checkFields(FIELDS, context.conf);
    const conf = confOf(context);
    const details = { macvlanMode: modeOf(conf), broadcastQueue: conf.bcqueuelen, mac: macOf(context) };
    return attach(context, {
      make() {
        makeOnParent(context, conf, "macvlan", details);
        return [];
      },
    });
  },

  del: detach,

  async check(context) {
    const conf = confOf(context);
    await checkAttached(context, "macvlan", link => {
      const [have, wanted] = [modeOfLink(link), modeOf(conf)];
      return have === wanted
        ? undefined
        : `Container macvlan mode ${have} does not match expected value: ${wanted}`;
    });
    checkParent(context, "macvlan", conf);
  },

  status(context) {
    statusOnParent("macvlan", confOf(context));
  },
};
