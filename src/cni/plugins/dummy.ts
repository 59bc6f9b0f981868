/** dummy: an interface that leads nowhere, for addresses that the container shall have without a wire. */
import { addLink } from "../../netlink/new-link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import * as netns from "../../sys/netns.ts";
import { CNI_ERROR, CniError } from "../types.ts";
import { attach, detach, making, statusOf } from "./attach.ts";
import { checkAttached } from "./check-inside.ts";
import { checkFields, type Field } from "./field.ts";
import type { Plugin, PluginContext } from "./plugin.ts";

function requireIpam({ conf }: Pick<PluginContext, "conf">): void {
  if (!conf.ipam?.type)
    throw new CniError(CNI_ERROR.INVALID_CONFIG, "dummy interface requires an IPAM configuration");
}

const FIELDS: readonly Field[] = [
  { name: "ipam", type: "object", text: "Where addresses come from; needed." },
];

export const dummy: Plugin = {
  fields: FIELDS,

  add(context) {
    checkFields(FIELDS, context.conf);
    requireIpam(context);
    return attach(context, {
      make() {
        using nl = netns.run(context.netns, () => new NetlinkSocket());
        making(nl, "dummy", () => addLink(nl, { kind: "dummy", name: context.ifName }));
        return [];
      },
    });
  },

  del: detach,

  async check(context) {
    requireIpam(context);
    await checkAttached(context, "dummy", link => (link.up ? undefined : `Interface ${link.name} is down`));
  },

  status(context) {
    requireIpam(context);
    statusOf("dummy");
  },
};
