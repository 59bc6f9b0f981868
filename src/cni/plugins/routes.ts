/** The routes that an address plugin's configuration asks for. */
import { parseCidr, parseIP } from "../../wire/addr.ts";
import { CNI_ERROR, CniError, type ResultRoute } from "../types.ts";

/** `ipam.routes`, none where it is absent. Throws a CniError for what is no network or no gateway. */
export function readRoutes(routes: unknown): ResultRoute[] {
  const list = (routes ?? []) as ResultRoute[];
  for (const { dst, gw } of list as { dst: unknown; gw?: unknown }[]) {
    if (typeof dst !== "string" || !parseCidr(dst))
      throw new CniError(CNI_ERROR.INVALID_CONFIG, `invalid CIDR address: ${dst ?? ""}`);
    if (gw && !(typeof gw === "string" && parseIP(gw)))
      throw new CniError(CNI_ERROR.INVALID_CONFIG, `invalid IP address: ${gw}`);
  }
  return list;
}
