/** setup and teardown with the plugins of a bridge network, which the executable loads as one piece (`scripts/build.ts`). */
import { bridge } from "../cni/plugins/bridge.ts";
import { firewall } from "../cni/plugins/firewall.ts";
import { portmap } from "../cni/plugins/portmap.ts";
import { staticIpam } from "../cni/plugins/static.ts";
import { havePlugins } from "../cni/plugins/table.ts";

export { Attachments } from "./attach.ts";
export { readRequest } from "./input.ts";
export { Place } from "./place.ts";

havePlugins({ bridge, firewall, portmap, static: staticIpam });
