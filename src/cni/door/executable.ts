/** The door with the plugins of every usual chain, which the executable loads as one piece (`scripts/build.ts`). */
import "../plugins/bridge.ts";
import "../plugins/firewall.ts";
import "../plugins/host-local.ts";
import "../plugins/portmap.ts";
import "./call.ts";

export { pluginMain } from "./main.ts";
