/** CHECK inside the container: the interface, its addresses and its routes are as the result of ADD says. */
import { addresses } from "../../netlink/address.ts";
import { type Link, linkByName } from "../../netlink/link.ts";
import { routes } from "../../netlink/route.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import * as netns from "../../sys/netns.ts";
import { formatCidr, formatIP, networkOf, parseCidr, parseIP } from "../../wire/addr.ts";
import { CNI_ERROR, CniError, type Result, type ResultInterface } from "../types.ts";
import { requireNetns } from "./attach.ts";
import type { PluginContext } from "./plugin.ts";

const failed = (message: string) => new CniError(CNI_ERROR.INTERNAL, message);

/**
 * The whole CHECK of an interface of `kind` ("": of any). `more` says what else is not as it was made, by a message, or
 * nothing.
 */
export async function checkAttached(
  context: PluginContext,
  kind: string,
  more: (link: Link) => string | undefined = () => undefined,
): Promise<void> {
  requireNetns(context);
  if (context.conf.ipam?.type) await context.ipam.check();
  const { mac } = interfaceOf(context);
  const name = context.ifName;
  netns.run(context.netns, () => {
    using nl = new NetlinkSocket();
    const link = linkByName(nl, name);
    if (!link) throw failed(`Container Interface name in prevResult: ${name} not found`);
    if (kind && link.kind !== kind) throw failed(`Error: Container interface ${name} not of type ${kind}`);
    if (mac && mac.toLowerCase() !== link.mac)
      throw failed(`Interface ${name} Mac ${mac} doesn't match container Mac: ${link.mac}`);
    const wrong = more(link);
    if (wrong) throw failed(wrong);
    checkAddresses(nl, link, context.prevResult!);
  });
}

/** The container's interface as the result of ADD names it. */
export function interfaceOf({ prevResult, ifName, netns }: PluginContext): ResultInterface {
  if (!prevResult) throw failed("Required prevResult missing");
  const candidates = prevResult.interfaces.filter(one => one.name === ifName);
  const found = candidates.find(one => one.sandbox === netns);
  if (!found)
    throw failed(
      `Sandbox in prevResult ${candidates[0]?.sandbox ?? ""} doesn't match configured netns: ${netns}`,
    );
  return found;
}

/** `FD00::5/64` as the kernel's tables are read; what is no address stays, and is not found. */
function canonical(text: string, what: "address" | "network"): string {
  const cidr = parseCidr(text);
  return cidr ? formatCidr(what === "network" ? { ...cidr, ip: networkOf(cidr) } : cidr) : text;
}

/** The interface's addresses and the routes of a result, wherever other plugins of the chain moved those. */
export function checkAddresses(nl: NetlinkSocket, link: Link, result: Result): void {
  const have = addresses(nl, { index: link.index }).map(one => `${one.ip}/${one.prefix}`);
  // Other plugins of a chain (sbr, vrf) move routes to tables of their own.
  const table = routes(nl, { table: "all" });
  const hasRoute = (dst: string, gw?: string) => {
    // A destination on the wire itself has no gateway in the kernel's table (RFC 3442 writes it as zeros).
    const ip = gw && gw !== "0.0.0.0" ? parseIP(gw) : undefined;
    return table.some(one => one.dst === canonical(dst, "network") && (!ip || one.gateway === formatIP(ip)));
  };
  for (const { interface: index, address, gateway } of result.ips) {
    const on = index === undefined ? undefined : result.interfaces[index];
    if (on && (on.name !== link.name || !on.sandbox)) continue;
    if (!have.includes(canonical(address, "address")))
      throw failed(`Failed to match addr ${address} on interface ${link.name}`);
    if (!hasRoute(address)) throw failed(`Failed to find Gateway ${gateway} for interface ${link.name}`);
  }
  for (const { dst, gw } of result.routes)
    if (!hasRoute(dst, gw))
      throw failed(`Expected Route ${dst}${gw ? ` via ${gw}` : ""} not found in routing table`);
}
