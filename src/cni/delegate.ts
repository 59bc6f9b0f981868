/** How a plugin reaches the address plugin that its configuration names: in the process or executed. */
import type { Plugin, PluginContext } from "./plugins/plugin.ts";
import { parseResult } from "./result.ts";

export interface Delegate {
  /** The address plugin where it is to run in this process. */
  plugin(): Promise<Plugin | undefined>;
  /** Executes the other; what it printed. */
  execute(command: "ADD" | "DEL" | "CHECK"): Promise<unknown>;
}

export function delegation(
  context: Omit<PluginContext, "ipam">,
  { plugin, execute }: Delegate,
): PluginContext["ipam"] {
  const whole = { ...context } as PluginContext;
  const ipam: PluginContext["ipam"] = {
    async add() {
      const ours = await plugin();
      if (ours) return ours.add({ ...whole, prevResult: undefined });
      return parseResult(await execute("ADD"), context.cniVersion);
    },
    async del() {
      // No rule may speak of an address any more when somebody else can be given it.
      context.firewall.commit();
      const ours = await plugin();
      if (ours) await ours.del(whole);
      else await execute("DEL");
    },
    async check() {
      const ours = await plugin();
      if (ours) await ours.check(whole);
      else await execute("CHECK");
    },
  };
  whole.ipam = ipam;
  return ipam;
}

/**
 * Before DEL: an address of dhcp's goes back by way of the interface, which most plugins take away first, as is right for
 * all other addresses. Asked again by the plugin, the daemon knows of no lease any more.
 */
export async function giveBackFirst({ conf, ipam }: PluginContext): Promise<void> {
  // What fails is told by the second time.
  if (conf.ipam?.type === "dhcp") await ipam.del().catch(() => {});
}
