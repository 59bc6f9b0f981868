/** Our own plugin types. */
import type { Plugin } from "./plugin.ts";

/** Each file loads when it is first called for. */
const BUILTIN: Record<string, () => Promise<Plugin>> = {
  bandwidth: async () => (await import("./bandwidth.ts")).bandwidth,
  bridge: async () => (await import("./bridge.ts")).bridge,
  dhcp: async () => (await import("./dhcp.ts")).dhcp,
  dnsname: async () => (await import("./dnsname.ts")).dnsname,
  dummy: async () => (await import("./dummy.ts")).dummy,
  firewall: async () => (await import("./firewall.ts")).firewall,
  "host-device": async () => (await import("./host-device.ts")).hostDevice,
  "host-local": async () => (await import("./host-local.ts")).hostLocal,
  ipvlan: async () => (await import("./ipvlan.ts")).ipvlan,
  loopback: async () => (await import("./loopback.ts")).loopback,
  macvlan: async () => (await import("./macvlan.ts")).macvlan,
  portmap: async () => (await import("./portmap.ts")).portmap,
  ptp: async () => (await import("./ptp.ts")).ptp,
  sbr: async () => (await import("./sbr.ts")).sbr,
  static: async () => (await import("./static.ts")).staticIpam,
  tap: async () => (await import("./tap.ts")).tap,
  tuning: async () => (await import("./tuning.ts")).tuning,
  vlan: async () => (await import("./vlan.ts")).vlan,
  vrf: async () => (await import("./vrf.ts")).vrf,
};

export const PLUGIN_TYPES: readonly string[] = Object.keys(BUILTIN);

const loaded = new Map<string, Plugin>();

/** For who has plugins in one piece with himself: to load a file again as a module of its own takes a tenth of a millisecond. */
export function havePlugins(plugins: Readonly<Record<string, Plugin>>): void {
  for (const [type, plugin] of Object.entries(plugins)) loaded.set(type, plugin);
}

/** The plugin of a type; undefined where it is none of ours. */
export async function loadPlugin(type: string): Promise<Plugin | undefined> {
  const there = loaded.get(type);
  if (there) return there;
  return Object.hasOwn(BUILTIN, type) ? BUILTIN[type]!() : undefined;
}
