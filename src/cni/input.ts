/** What a plugin that is executed reads on its standard input: libcni's bytes (api.go `buildOneConfig`, conf.go `InjectConf`). */
import { mapJson, objectJson, structJson } from "./go-json.ts";
import type { PluginConf } from "./types.ts";

export interface Input {
  /** The plugin's object of the conflist. `capabilities` stay in it, though the specification says otherwise. */
  conf: PluginConf;
  name: string;
  cniVersion: string;
  /** In the form of that version, `formatResult`'s. */
  prevResult?: Record<string, unknown>;
  /** Capability arguments that the plugin asks for; left out where there are none. */
  runtimeConfig?: Record<string, unknown>;
}

/** One line of JSON. A result keeps libcni's order of keys unless there is a `runtimeConfig`, which makes all keys sorted. */
export function pluginInput({ conf, name, cniVersion, prevResult, runtimeConfig }: Input): string {
  const hasCapabilities = runtimeConfig !== undefined && Object.keys(runtimeConfig).length > 0;
  const parts = new Map(Object.entries(conf).map(([key, value]) => [key, mapJson(value ?? null)]));
  parts.set("name", structJson(name));
  parts.set("cniVersion", structJson(cniVersion));
  if (prevResult) parts.set("prevResult", (hasCapabilities ? mapJson : structJson)(prevResult));
  if (hasCapabilities) parts.set("runtimeConfig", mapJson(runtimeConfig));
  return objectJson([...parts]);
}
