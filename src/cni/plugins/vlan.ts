/** vlan: an interface of the container's own for one IEEE 802.1Q VLAN of a parent, which tags what it sends. */
import { IFLA_VLAN } from "../../netlink/new-link.ts";
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
import type { Plugin } from "./plugin.ts";

interface VlanConf extends ParentConf {
  vlanId?: number;
}

const MAX_VLAN = 4094;
const invalid = (message: string) => new CniError(CNI_ERROR.INVALID_CONFIG, message);

function confOf(context: { conf: object }): VlanConf & { vlanId: number } {
  const conf = context.conf as VlanConf;
  const { master, vlanId = 0 } = conf;
  if (!master)
    throw invalid('"master" field is required. It specifies the host interface name to create the VLAN for');
  if (vlanId < 0 || vlanId > MAX_VLAN)
    throw invalid(`invalid VLAN ID ${vlanId} (must be between 0 and ${MAX_VLAN} inclusive)`);
  return { ...conf, vlanId };
}

const FIELDS: readonly Field[] = [
  { name: "master", type: "string", text: "Name of the parent; needed." },
  { name: "vlanId", type: "integer", default: "0", text: "Number of the VLAN, 0 to 4094." },
  MTU_FIELD,
  LINK_IN_CONTAINER_FIELD,
  {
    name: "ipam",
    type: "object",
    text: "Where addresses come from; without a `type` the interface has none.",
  },
];

export const vlan: Plugin = {
  fields: FIELDS,

  add(context) {
    checkFields(FIELDS, context.conf);
    const conf = confOf(context);
    return attach(context, {
      make() {
        makeOnParent(context, conf, "vlan", { vlanId: conf.vlanId });
        return [];
      },
    });
  },

  del: detach,

  async check(context) {
    const conf = confOf(context);
    await checkAttached(context, "vlan", ({ name, info, mtu }) => {
      const id = info.find(one => one.type === IFLA_VLAN.ID);
      const have = id ? value.u16(id.value) : 0;
      if (have !== conf.vlanId) return `Interface ${name} is in VLAN ${have}, not in ${conf.vlanId}`;
      return conf.mtu && conf.mtu !== mtu ? `Interface ${name} has MTU ${mtu}, not ${conf.mtu}` : undefined;
    });
    checkParent(context, "vlan", conf);
  },

  status(context) {
    statusOnParent("vlan", confOf(context));
  },
};
