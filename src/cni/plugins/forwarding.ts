/** The host as a router for its containers. */
import type { Result } from "../types.ts";
import { sysctl } from "./inside.ts";

/** Lets the host forward packets of the families that a result has addresses of. */
export function allowForwarding(result: Result): void {
  if (result.ips.some(one => !one.address.includes(":"))) sysctl("ipv4/ip_forward", "1");
  if (result.ips.some(one => one.address.includes(":"))) sysctl("ipv6/conf/all/forwarding", "1");
}
