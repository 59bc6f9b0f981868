/** The hardware address that is asked for. */
import { formatMac, parseMac } from "../../wire/addr.ts";
import { CNI_ERROR, CniError } from "../types.ts";
import type { PluginContext } from "./plugin.ts";

/** Of the capability `mac`, else of CNI_ARGS, else of the configuration; undefined where nobody says. */
export function macOf({ conf, args, runtimeConfig }: PluginContext): string | undefined {
  const text = [runtimeConfig.mac, args.MAC, conf.mac].find(one => typeof one === "string" && one !== "");
  if (text === undefined) return undefined;
  const mac = parseMac(String(text));
  if (!mac)
    throw new CniError(
      CNI_ERROR.INVALID_CONFIG,
      `invalid args ${text} for MAC addr: address ${text}: invalid MAC address`,
    );
  return formatMac(mac);
}
