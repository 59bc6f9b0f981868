/** One ADD of our host-local in a process of its own: `host-local-add.ts DATADIR ID IPAM-JSON`; prints the address. */
import { hostLocal } from "../../src/cni/plugins/host-local.ts";
import type { PluginContext } from "../../src/cni/plugins/plugin.ts";
import type { Result } from "../../src/cni/types.ts";

const [dataDir, containerId, ipam] = process.argv.slice(2);
const context = {
  conf: { type: "bridge", ipam: { type: "host-local", dataDir, ...JSON.parse(ipam!) } },
  network: "net",
  cniVersion: "1.0.0",
  containerId,
  ifName: "eth0",
  args: {},
  runtimeConfig: {},
} as Partial<PluginContext> as PluginContext;
console.log((hostLocal.add(context) as Result).ips[0]!.address);
