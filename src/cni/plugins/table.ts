/** Our own plugin types. */
import type { Plugin } from "./plugin.ts";

/** Each file loads when it is first called for. */
const BUILTIN: Record<string, () => Promise<Plugin>> = {
  bandwidth: async () => (await import("./bandwidth.ts")).bandwidth,
  bridge: async () => (await import("./bridge.ts")).bridge,
  dnsname: async () => (await import("./dnsname.ts")).dnsname,
  firewall: async () => (await import("./firewall.ts")).firewall,
  "host-local": async () => (await import("./host-local.ts")).hostLocal,
  loopback: async () => (await import("./loopback.ts")).loopback,
  macvlan: async () => (await import("./macvlan.ts")).macvlan,
  portmap: async () => (await import("./portmap.ts")).portmap,
  static: async () => (await import("./static.ts")).staticIpam,
  tuning: async () => (await import("./tuning.ts")).tuning,
};

export const PLUGIN_TYPES: readonly string[] = Object.keys(BUILTIN);

/** The plugin of a type; undefined where it is none of ours. */
export async function loadPlugin(type: string): Promise<Plugin | undefined> {
  return Object.hasOwn(BUILTIN, type) ? BUILTIN[type]!() : undefined;
}
