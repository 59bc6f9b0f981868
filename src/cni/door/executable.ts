/** The door with the plugins of every usual chain, which the executable loads as one piece (`scripts/build.ts`). */
import { bridge } from "../plugins/bridge.ts";
import { firewall } from "../plugins/firewall.ts";
import { hostLocal } from "../plugins/host-local.ts";
import { portmap } from "../plugins/portmap.ts";
import { havePlugins } from "../plugins/table.ts";
import { perform } from "./call.ts";
import * as door from "./main.ts";

havePlugins({ bridge, firewall, "host-local": hostLocal, portmap });

export const pluginMain = (name: string, argv: readonly string[]): Promise<number> =>
  door.pluginMain(name, argv, async () => perform);
