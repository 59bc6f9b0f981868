/** What a plugin says of itself before anything of it loads. */
import { PLUGIN_TYPES } from "../plugins/table.ts";
import { SUPPORTED_VERSIONS } from "../types.ts";

/** The release of containernetworking/plugins whose fields and behaviour these are; nerdctl decides features by it. */
const RELEASE = "v1.9.1";

/** Plugins that have to know what came with a version of the specification. */
const OLDEST: Record<string, string> = { bandwidth: "0.3.0", vrf: "0.3.1", firewall: "0.4.0" };

/** The plugin that an executable of this path is; undefined where its name is none of ours. */
export function pluginOf(argv0: string): string | undefined {
  const name = argv0.slice(argv0.lastIndexOf("/") + 1);
  return PLUGIN_TYPES.includes(name) ? name : undefined;
}

/** Versions of the specification that a plugin speaks, the oldest first. */
export function versionsOf(name: string): readonly string[] {
  const oldest = OLDEST[name];
  return oldest ? SUPPORTED_VERSIONS.filter(version => version >= oldest) : SUPPORTED_VERSIONS;
}

/** For a person who calls it by hand, on standard error. */
export function aboutText(name: string): string {
  return `CNI ${name} plugin ${RELEASE}\nCNI protocol versions supported: ${versionsOf(name).join(", ")}\n`;
}

/** The answer to VERSION (SPEC.md, "VERSION Success"). */
export function versionText(name: string): string {
  return `${JSON.stringify({ cniVersion: SUPPORTED_VERSIONS.at(-1), supportedVersions: versionsOf(name) })}\n`;
}
