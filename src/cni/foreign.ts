/** What other people's plugins are told in their own terms, where ours have more. */
import type { PluginConf, PortMap } from "./types.ts";

/** Where host-local keeps its files everywhere. */
export const DATA_DIRECTORY = "/var/lib/cni/networks";

/** A plugin's configuration: another's host-local keeps its files where ours does. */
export function foreignConf(conf: PluginConf, dataDirectory: string): PluginConf {
  const { ipam } = conf;
  const isElsewhere = dataDirectory !== DATA_DIRECTORY && ipam?.type === "host-local" && !ipam.dataDir;
  return isElsewhere ? { ...conf, ipam: { ...ipam, dataDir: dataDirectory } } : conf;
}

/** Capability arguments: one port mapping a port, without our `range`. */
export function foreignCapabilities(runtimeConfig: Record<string, unknown>): Record<string, unknown> {
  const ports = runtimeConfig.portMappings;
  if (!Array.isArray(ports)) return runtimeConfig;
  const portMappings = (ports as PortMap[]).flatMap(({ range = 1, ...one }) =>
    Array.from({ length: range }, (_, offset) => ({
      ...one,
      hostPort: one.hostPort + offset,
      containerPort: one.containerPort + offset,
    })),
  );
  return { ...runtimeConfig, portMappings };
}
