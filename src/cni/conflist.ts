/** A network's configuration: a conflist, as podman 4 and containerd write it. Pure; files are `load.ts`'s. */
import { errorText, UserError } from "../base/errors.ts";
import { bigIntToIp, formatIP, ipToBigInt, networkOf, parseCidr } from "../wire/addr.ts";
import { checkNetworkName } from "./attachment.ts";
import { CNI_ERROR, CniError, type NetConfList, type PluginConf, SUPPORTED_VERSIONS } from "./types.ts";

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Conflists may write a truth as a text. */
export const isTrue = (value: unknown): boolean => value === true || value === "true";

/** Reads one conflist. Throws CniError with the specification's codes. */
export function parseConfList(source: string): NetConfList {
  let data: unknown;
  try {
    data = JSON.parse(source);
  } catch (error) {
    throw new CniError(CNI_ERROR.DECODE, "error parsing configuration list", errorText(error));
  }
  if (!isObject(data))
    throw new CniError(CNI_ERROR.DECODE, "error parsing configuration list", "it is no JSON object");
  const { name, plugins } = data;
  checkNetworkName(name);
  if (!Array.isArray(plugins) || plugins.length === 0)
    throw new CniError(CNI_ERROR.INVALID_CONFIG, "error parsing configuration list", "no plugins in list");
  for (const plugin of plugins) {
    if (!isObject(plugin) || typeof plugin.type !== "string" || plugin.type === "")
      throw new CniError(
        CNI_ERROR.INVALID_CONFIG,
        "error parsing configuration list",
        "a plugin without a type",
      );
    if (/[/\\]|^\.\.?$/.test(plugin.type))
      throw new CniError(CNI_ERROR.INVALID_CONFIG, "invalid plugin name", plugin.type);
  }
  return {
    name,
    cniVersion: effectiveVersion(data),
    disableCheck: isTrue(data.disableCheck),
    disableGC: isTrue(data.disableGC),
    plugins: plugins as PluginConf[],
    source,
  };
}

/** The highest of `cniVersions` and `cniVersion` that we know (libcni's rule). */
function effectiveVersion(data: Record<string, unknown>): string {
  const listed = Array.isArray(data.cniVersions)
    ? data.cniVersions.filter(one => typeof one === "string")
    : [];
  const single = typeof data.cniVersion === "string" && data.cniVersion !== "" ? data.cniVersion : "0.1.0";
  const known = SUPPORTED_VERSIONS.filter(version => version === single || listed.includes(version));
  const best = known.at(-1);
  if (!best)
    throw new CniError(
      CNI_ERROR.INCOMPATIBLE_VERSION,
      "incompatible CNI versions",
      `config is ${JSON.stringify(single)}, this runtime supports ${SUPPORTED_VERSIONS.join(", ")}`,
    );
  return best;
}

/** The network that every rootful container joins unless told otherwise: the article's `87-podman-bridge.conflist`. */
export const DEFAULT_NETWORK = "podman";
const DEFAULT_SUBNET = "10.88.0.0/16";

/** The conflist of that network where no file has it; containers.conf may give it another name or subnet. */
export function defaultConfList(name = DEFAULT_NETWORK, subnet = DEFAULT_SUBNET): string {
  const cidr = parseCidr(subnet);
  if (!cidr)
    throw new UserError(`the default subnet ${JSON.stringify(subnet)} of containers.conf is no subnet`);
  const gateway = formatIP(bigIntToIp(ipToBigInt(networkOf(cidr)) + 1n, cidr.ip.family));
  return JSON.stringify({
    cniVersion: "0.4.0",
    name,
    plugins: [
      {
        type: "bridge",
        bridge: "cni0",
        isGateway: true,
        ipMasq: true,
        ipam: {
          type: "host-local",
          routes: [{ dst: "0.0.0.0/0" }],
          ranges: [[{ subnet, gateway }]],
        },
      },
      { type: "portmap", capabilities: { portMappings: true } },
      { type: "firewall" },
      { type: "tuning" },
    ],
  });
}
